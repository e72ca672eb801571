package funchost_test

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

// TestEarlyAnswer has a handler that answers before it has read the body: if it closes the connection while the host
// still sends, the caller gets 500. Both modes send the whole request before they read the answer.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			// More than the system buffers for a reader that does not read.
			r.call(t, "POST", open, strings.Repeat("x", 48<<20), tell("early", "413")).wantEmpty(t, http.StatusInternalServerError)
			if got := r.call(t, "POST", open, "small", tell("early", "413")); got.status != http.StatusRequestEntityTooLarge {
				t.Errorf("a body that was sent whole: got %d (%v), want the handler's 413", got.status, got.err)
			}
			if got := r.call(t, "POST", open, "x").seen(t); got.Hits == 0 {
				t.Error("the handler is not heard any more")
			}
		})
	}
}

// TestLargestBody shows that the host accepts 100 MiB, and answers 500 to one byte more.
func TestLargestBody(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			largest := strings.Repeat("x", 100<<20)
			if got := r.call(t, "POST", open, largest, tell("count", "")); got.body != strconv.Itoa(len(largest)) {
				t.Errorf("the handler has counted %q (%v), want all of it", got.body, got.err)
			}
			// The host reads nothing of it, so the client may see a closed connection instead of the answer.
			if got := r.call(t, "POST", open, largest+"x"); got.err == nil && got.status != http.StatusInternalServerError {
				t.Errorf("one byte more: got %d, want 500", got.status)
			}
		})
	}
}

// TestInformationalAnswers shows that the host does not pass them on.
func TestInformationalAnswers(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
					t.Errorf("the client got %d %v", code, header)
					return nil
				},
			})
			got := r.do(r.request(t, "POST", open, "body", tell("informational", "100", "informational", "103")).WithContext(ctx))
			if s := got.seen(t); string(s.Body) != "body" {
				t.Errorf("the handler has seen %q", s.Body)
			}
			wantHeaders(t, got.header, map[string]string{"X-Informational": "", "Server": "Kestrel"})
		})
	}
}

// TestExpectedContinue has a client that waits for 100 Continue, and gets it from the host.
func TestExpectedContinue(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Proxy, ""))
	continued := make(chan struct{}, 1)
	ctx := httptrace.WithClientTrace(context.WithoutCancel(t.Context()), &httptrace.ClientTrace{
		Got100Continue: func() { continued <- struct{}{} },
	})
	r.client.Transport.(*http.Transport).ExpectContinueTimeout = wait.Patience //nolint:errcheck // what it is
	if got := r.do(r.request(t, "POST", open, "body", "Expect: 100-continue").WithContext(ctx)).seen(t); string(got.Body) != "body" {
		t.Errorf("the handler has seen %q", got.Body)
	}
	wait.Receive(t, "100 Continue", continued)
}
