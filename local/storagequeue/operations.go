package storagequeue

import (
	"net/http"
	"strconv"
	"strings"
)

// account answers the requests about the account: List Queues.
func (h *handler) account(r *request) (answer, error) {
	if r.query.get("comp") != "list" {
		return answer{}, unsupported(r)
	}
	if r.Method != http.MethodGet {
		return answer{}, errVerb
	}
	limit, err := r.query.number("maxresults", 0, 1, 1<<31-1)
	if err != nil {
		return answer{}, err
	}
	body := queuesBody{ServiceEndpoint: h.endpoint, Prefix: r.query.get("prefix"), Marker: r.query.get("marker"), MaxResults: limit}
	if limit == 0 || limit > maxQueues {
		limit = maxQueues
	}
	queues, next, err := h.store.Queues(body.Prefix, body.Marker, limit)
	if err != nil {
		return answer{}, err
	}
	withMetadata := strings.EqualFold(r.query.get("include"), "metadata")
	body.NextMarker = next
	for _, q := range queues {
		b := queueBody{Name: q.Name}
		if withMetadata {
			b.Metadata = q.Metadata
		}
		body.Queues = append(body.Queues, b)
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// queue answers the requests about a queue: Create and Delete Queue, Get and Set Queue Metadata.
func (h *handler) queue(r *request) (answer, error) {
	switch comp := r.query.get("comp"); {
	case comp == "metadata":
		return h.metadata(r)
	case comp != "":
		return answer{}, unsupported(r)
	}
	switch r.Method {
	case http.MethodPut:
		values, err := metadata(r.Header)
		if err != nil {
			return answer{}, err
		}
		created, err := h.store.Create(r.queue, values)
		if created {
			return answer{status: http.StatusCreated}, err
		}
		return answer{status: http.StatusNoContent}, err
	case http.MethodDelete:
		return answer{status: http.StatusNoContent}, h.store.Drop(r.queue)
	default:
		return answer{}, errVerb
	}
}

func (h *handler) metadata(r *request) (answer, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		q, err := h.store.Queue(r.queue)
		header := map[string]string{"X-Ms-Approximate-Messages-Count": strconv.Itoa(q.Messages), "Cache-Control": "no-cache"}
		for name, value := range q.Metadata {
			header[metadataPrefix+name] = value
		}
		return answer{status: http.StatusOK, header: header}, err
	case http.MethodPut:
		values, err := metadata(r.Header)
		if err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusNoContent}, h.store.SetMetadata(r.queue, values)
	default:
		return answer{}, errVerb
	}
}

// messages answers the requests about a queue's messages: Put, Get, Peek and Clear.
func (h *handler) messages(r *request) (answer, error) {
	switch r.Method {
	case http.MethodPost:
		return h.put(r)
	case http.MethodGet:
		n, err := r.query.number("numofmessages", 1, 1, maxMessages)
		if err != nil {
			return answer{}, err
		}
		if strings.EqualFold(r.query.get("peekonly"), "true") {
			found, err := h.store.Peek(r.queue, n)
			return answer{status: http.StatusOK, body: bodies(found, peekBody)}, err
		}
		hidden, err := r.query.seconds("visibilitytimeout", defaultHidden, 1, week)
		if err != nil {
			return answer{}, err
		}
		found, err := h.store.Get(r.queue, n, hidden)
		return answer{status: http.StatusOK, body: bodies(found, getBody)}, err
	case http.MethodDelete:
		return answer{status: http.StatusNoContent}, h.store.Clear(r.queue)
	default:
		return answer{}, errVerb
	}
}

func (h *handler) put(r *request) (answer, error) {
	hidden, life, err := r.query.putTimes()
	if err != nil {
		return answer{}, err
	}
	text, err := message(r.Request)
	if err != nil {
		return answer{}, err
	}
	if text == nil {
		return answer{}, errXMLMissing
	}
	m, err := h.store.Put(r.queue, *text, hidden, life)
	return answer{status: http.StatusCreated, body: messagesBody{Messages: []messageBody{putBody(m)}}}, err
}

// message answers the requests about a message: Update and Delete.
func (h *handler) message(r *request) (answer, error) {
	if r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return answer{}, errVerb
	}
	receipt, err := r.query.receipt()
	if err != nil {
		return answer{}, err
	}
	if r.Method == http.MethodDelete {
		return answer{status: http.StatusNoContent}, h.store.Delete(r.queue, r.id, receipt)
	}
	// The reference calls visibilitytimeout required, but its clients may omit it; Azurite then uses 30 s.
	hidden, err := r.query.seconds("visibilitytimeout", defaultHidden, 0, week)
	if err != nil {
		return answer{}, err
	}
	text, err := message(r.Request)
	if err != nil {
		return answer{}, err
	}
	m, err := h.store.Update(r.queue, r.id, receipt, text, hidden)
	header := map[string]string{"X-Ms-Popreceipt": m.Receipt, "X-Ms-Time-Next-Visible": date(m.Visible)}
	return answer{status: http.StatusNoContent, header: header}, err
}

// unsupported returns the error for a comp that this stand-in does not support, or that does not exist.
func unsupported(r *request) error {
	return errParameterUnknown.wrong(parameter{name: "comp", value: r.query.get("comp"), reason: "This stand-in does not have it."})
}
