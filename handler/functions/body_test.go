package functions_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"userrelay/handler/functions"
)

// A body of 16 MiB is read whole, announced or not. Of a larger one everything is read, too.
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const limit = 16 << 20
	if functions.MaxBody != limit {
		t.Fatalf("MaxBody = %d", functions.MaxBody)
	}
	full := simple + strings.Repeat(" ", limit-len(simple))
	for _, c := range []struct {
		body   io.Reader
		length int64
		ok     bool
	}{
		{strings.NewReader(full), limit, true},
		{iotest.DataErrReader(strings.NewReader(full)), -1, true},
		{unwanted(t), limit + 1, false},
		{strings.NewReader(full + " "), -1, false},
		{io.MultiReader(strings.NewReader(full), new(endless)), -1, false},
	} {
		got := serving(t, &parts{}).serve(upload(t, c.body, c.length))
		if c.ok {
			got.wantStored(t)
			continue
		}
		detail := got.wantProblem(t, http.StatusRequestEntityTooLarge, "too-large")
		if want := `body: must be at most 16 MiB. Send the user id alone: {"userId": "…"}.`; detail != want {
			t.Errorf("detail = %q, want %q", detail, want)
		}
	}
}

// endless is a body without an end. It counts the bytes that are read.
type endless int

func (n *endless) Read(b []byte) (int, error) {
	*n += endless(len(b))
	return len(b), nil
}

// An endless body is not read endlessly.
func TestBodyWithoutAnEnd(t *testing.T) {
	t.Parallel()
	body := new(endless)
	r := upload(t, body, -1)
	r.Header.Set("Content-Type", "image/png")
	got := serving(t, &parts{}).serve(r)
	got.wantProblem(t, http.StatusUnsupportedMediaType, "unsupported-media-type")
	if got.header.Get("Connection") != "close" || *body < 100<<20 || *body > 101<<20 {
		t.Errorf("%d bytes were read, Connection %q", *body, got.header.Get("Connection"))
	}
}

func TestBodyDoesNotArrive(t *testing.T) {
	t.Parallel()
	const (
		late   = "body: did not arrive in time. Send the registration again."
		broken = "body: arrived incomplete."
	)
	slow := &net.OpError{Op: "read", Err: fmt.Errorf("%s: %w", marker, os.ErrDeadlineExceeded)}
	for _, c := range []struct {
		err          error
		status       int
		kind, detail string
	}{
		{slow, http.StatusRequestTimeout, "timeout", late},
		{io.ErrUnexpectedEOF, http.StatusBadRequest, "incomplete", broken},
		{errors.New("reset by " + marker), http.StatusBadRequest, "incomplete", broken},
	} {
		for _, sent := range []string{"", `{"userId":"auth0|1"`, simple, `{"userId":"auth0|1","user":{"a":[` + strings.Repeat("7,", 50_000)} {
			got := serving(t, &parts{}).serve(upload(t, io.MultiReader(strings.NewReader(sent), iotest.ErrReader(c.err)), 100))
			if detail := got.wantProblem(t, c.status, c.kind); detail != c.detail {
				t.Errorf("detail = %q, want %q", detail, c.detail)
			}
			if got := got.header.Get("Connection"); got != "close" {
				t.Errorf("Connection = %q, want close: the rest of the body may come on it", got)
			}
		}
	}
}
