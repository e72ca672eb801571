package funchost

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Exchange is a client's request and its answer, as the host saw them, whether or not a function ran.
type Exchange struct {
	Start   time.Time
	Took    time.Duration
	Request *http.Request // its body is gone
	// Query is the request's query without the key. HasKey says whether the request has a key, valid or not.
	Query  string
	HasKey bool
	// Body and Answer are the beginnings of both bodies; BodyBytes is how much of the request's body was read.
	Body, Answer []byte
	BodyBytes    int64
	Status       int
	AnswerHeader http.Header
	// Invocation and Operation are ids of the run; "" if no function ran.
	Invocation, Operation string
}

// keepBody is how much of a body an Exchange keeps, in bytes.
const keepBody = 16 << 10

// watched is an answer that is recorded for Observe.
type watched struct {
	http.ResponseWriter

	seen Exchange
}

// watch returns the request and the writer for serve, and a function to call at the end.
func (h *Host) watch(w http.ResponseWriter, r *http.Request) (*watched, *http.Request, func()) {
	query, hasKey := withoutKey(r)
	x := &watched{w, Exchange{Start: time.Now(), Query: query, HasKey: hasKey}}
	r = r.WithContext(r.Context()) // the server looks at the body of its own
	body := &watchedBody{ReadCloser: r.Body}
	r.Body, x.seen.Request = body, r
	return x, r, func() {
		x.seen.Body, x.seen.BodyBytes = body.read()
		x.seen.Took, x.seen.AnswerHeader = time.Since(x.seen.Start), w.Header()
		if x.seen.Status == 0 {
			x.seen.Status = http.StatusOK
		}
		h.observe(x.seen)
	}
}

// withoutKey returns the query without parameters that may be a key.
func withoutKey(r *http.Request) (query string, hasKey bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", shownKey(r) != ""
	}
	for name := range values {
		if strings.EqualFold(name, "code") {
			delete(values, name)
		}
	}
	return values.Encode(), shownKey(r) != ""
}

// WriteHeader implements [http.ResponseWriter].
func (x *watched) WriteHeader(status int) {
	if status >= http.StatusOK && x.seen.Status == 0 {
		x.seen.Status = status
		if x.seen.Invocation == "" && x.seen.Request.Header.Get("Expect") == "" {
			_, _ = io.CopyN(io.Discard, x.seen.Request.Body, keepBody) // as the server does with unread data
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (x *watched) Write(b []byte) (int, error) {
	x.seen.Answer = begin(x.seen.Answer, b)
	return x.ResponseWriter.Write(b) //nolint:wrapcheck // a writer passes on the error of the wrapped one
}

// Unwrap lets [http.ResponseController] find the connection.
func (x *watched) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// ran notes the run of a function that gives the answer.
func (x *watched) ran(op *operation) { x.seen.Invocation, x.seen.Operation = op.id, op.trace }

// watchedBody is a body whose beginning is recorded. A call to the handler may still read it shortly after the answer.
type watchedBody struct {
	io.ReadCloser

	mu    sync.Mutex
	begun []byte
	bytes int64
}

func (b *watchedBody) read() ([]byte, int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.begun), b.bytes
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += int64(n)
	b.begun = begin(b.begun, p[:n])
	return n, err //nolint:wrapcheck // a reader passes on the error of the wrapped one
}

// begin appends the part that still belongs to the beginning.
func begin(have, more []byte) []byte {
	return append(have, more[:min(len(more), keepBody-len(have))]...)
}
