package e2e_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/handler/outbox"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// client sends requests to one address.
type client struct {
	base     string
	function string // path of RegisterUser, with the key if the host wants one
	http     *http.Client
}

func newClient(t *testing.T, base string) client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return client{base, "/api/RegisterUser", &http.Client{Transport: transport, Timeout: wait.Patience}}
}

// reply is a complete answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// call sends a request. Headers are "Name: value".
func (c client) call(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	return must.Get[reply](t)(c.try(t.Context(), method, path, strings.NewReader(body), headers...))
}

// register posts a body to the function.
func (c client) register(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	return c.call(t, http.MethodPost, c.function, body, headers...)
}

// registerSoon registers until it works: a busy machine may need more time than an answer has.
func (c client) registerSoon(t *testing.T, body string) answer {
	t.Helper()
	var r reply
	wait.For(t, "a registration is stored", func() bool {
		r = c.register(t, body)
		return r.status != http.StatusServiceUnavailable
	})
	return r.stored(t)
}

// try is call for goroutines, and for requests that may get no answer. A body that is not a *strings.Reader is sent in
// chunks.
func (c client) try(ctx context.Context, method, path string, body io.Reader, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return reply{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(text)}, err
}

// healthy says whether the function Health answers that Kafka can be reached.
func (c client) healthy(t *testing.T) bool {
	t.Helper()
	r, err := c.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody)
	return err == nil && r.status == http.StatusOK && r.body == `{"status":"ok"}`
}

// answer has the members of all answers to a registration. (test/contract shows which ones each has.)
type answer struct {
	EventID   string `json:"eventId"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
	Outbox    string `json:"outbox"`
	MessageID string `json:"messageId"`
	Problem   string `json:"type"`
}

// read checks the status and the media type, and reads the answer.
func (r reply) read(t *testing.T, status int, mediaType string) (a answer) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &a); err != nil || r.status != status || r.header.Get("Content-Type") != mediaType {
		t.Fatalf("got %d %s %q (%v), want %d %s", r.status, r.header.Get("Content-Type"), r.body, err, status, mediaType)
	}
	return a
}

// stored returns the answer to a registration that Kafka has stored.
func (r reply) stored(t *testing.T) answer {
	t.Helper()
	a := r.read(t, http.StatusOK, "application/json")
	if a.EventID == "" || a.Topic != topic || a.Timestamp == 0 {
		t.Errorf("got %s, want all of the record's place", r.body)
	}
	return a
}

// kept returns the event id of a registration that is in the outbox.
func (r reply) kept(t *testing.T) (eventID string) {
	t.Helper()
	a := r.read(t, http.StatusAccepted, "application/json")
	if a.EventID == "" || a.Outbox != outbox.QueueName || a.MessageID == "" {
		t.Errorf("got %s, want where it is", r.body)
	}
	return a.EventID
}
