package functions

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxThrownAway is how much of an unwanted body is read, in bytes: the host accepts no larger one. The server's
// readTimeout limits the time.
const maxThrownAway = 100 << 20

// exchange is a request's body and its answer. No answer begins before the end of the body: the host sends the whole
// body before it reads the answer. It turns an earlier answer into an empty 500, and its caller then repeats a request
// whose refusal was final.
type exchange struct {
	http.ResponseWriter

	request *http.Request
	body    io.ReadCloser
	waits   bool  // the sender sends no body before it is asked to (100-continue)
	end     error // of the body: io.EOF, or what went wrong
	begun   bool  // the answer has
}

// newExchange takes over the request's body.
func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{ResponseWriter: w, request: r, body: r.Body}
	if r.Body == nil {
		x.body = http.NoBody
	}
	if len(r.Header["Expect"]) > 0 {
		x.waits = strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	}
	r.Body = x
	return x
}

// Read reads the body.
func (x *exchange) Read(b []byte) (int, error) {
	x.waits = false
	n, err := x.body.Read(b)
	if err != nil {
		x.end = err
	}
	return n, err //nolint:wrapcheck // a reader's errors are its own
}

// Close closes the body.
func (x *exchange) Close() error { return x.body.Close() } //nolint:wrapcheck // as above

// WriteHeader begins the answer.
func (x *exchange) WriteHeader(status int) {
	if !x.begun {
		x.begun = true
		x.throwAway()
		x.request.Body = x.body // the server checks its type, to see whether the sender still waits
	}
	x.ResponseWriter.WriteHeader(status)
}

// throwAway reads the rest of the body. If that fails the connection cannot be used again, because the rest would be
// read as the next request.
func (x *exchange) throwAway() {
	if x.end == nil && !x.waits {
		_, _ = io.Copy(io.Discard, io.LimitReader(x, maxThrownAway+1)) // its error is in x.end
	}
	if !errors.Is(x.end, io.EOF) && !x.waits {
		x.Header().Set("Connection", "close")
	}
}

// Write sends a part of the answer.
func (x *exchange) Write(b []byte) (int, error) {
	if !x.begun {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriter.Write(b) //nolint:wrapcheck // as above
}

// Unwrap lets http.ResponseController find the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }
