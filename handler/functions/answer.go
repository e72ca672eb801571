package functions

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// problem is the answer to a request that is not stored (RFC 9457).
type problem struct {
	Type    string `json:"type"` // the last part of the URN
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	EventID string `json:"eventId,omitzero"`

	retryAfter int // seconds; 0: none
}

func (p problem) write(w http.ResponseWriter) {
	p.Type = "urn:userrelay:problem:" + p.Type
	p.Title = http.StatusText(p.Status)
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON sends a whole answer.
func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // the answers are structs of this package
	}
	write(w, status, mediaType, body)
}

// write sends a whole answer. It sets the length, because the host relays an answer only after its end.
func write(w http.ResponseWriter, status int, mediaType string, body []byte) {
	h, values := w.Header(), []string{mediaType, strconv.Itoa(len(body)), "no-store"} // one piece of memory for three headers
	h["Content-Type"], h["Content-Length"], h["Cache-Control"] = values[0:1:1], values[1:2:2], values[2:3:3]
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}
