package functions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
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

// Above the limit requests are refused, whatever else is in progress. A request gives its place back however it ends.
func TestRequestsInWorkAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 2000
		gate, answers := make(chan struct{}), make(chan answer)
		p := serving(t, &parts{want: "panicked panicked", deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
			if e.ID == "broken" {
				panic(marker)
			}
			<-gate
			return outcome(e), nil
		}})
		fill := func(n int) {
			for range n {
				r := post(t)
				go func() { answers <- p.serve(r) }()
			}
			synctest.Wait()
		}
		fill(limit - 1)
		for range 2 {
			r := request(t, http.MethodPost, register, strings.NewReader(`{"userId":"auth0|1","eventId":"broken"}`))
			p.serve(r).wantProblem(t, http.StatusInternalServerError, "internal")
		}
		fill(1)
		for range limit + 10 { // a place that a refused request kept would let later ones in, or none at the end
			const want = "The function is busy or shutting down. Send the registration again."
			if detail := p.serve(post(t)).wantProblem(t, http.StatusServiceUnavailable, "busy"); detail != want {
				t.Fatalf("detail %q", detail)
			}
		}
		if got := p.serve(request(t, http.MethodGet, "/", nil)); got.status != http.StatusOK {
			t.Errorf("the host's probe: %d, want 200 whatever is in progress", got.status)
		}
		close(gate)
		for range limit {
			(<-answers).wantStored(t)
		}
		p.serve(post(t)).wantStored(t)
	})
}

// The limit counts the bytes in memory, not those sent: for a wanted profile at most the size of a record, for
// everything else nearly none, and nothing for what is announced only. What a request holds is given back at its end.
// The test is not parallel, because the memory of other tests would count.
func TestMemoryOfLargeBodies(t *testing.T) { //nolint:paralleltest // see above
	const bodies = 80
	for name, c := range map[string]struct {
		wanted    bool
		size      int    // bytes, of each body
		least     int    // bodies that are stored
		most      int    // at most
		mostBytes uint64 // held of all
	}{
		"profiles that are not wanted":        {false, 1 << 20, bodies, bodies, 8 << 20},
		"profiles that are wanted, too large": {true, 2 << 20, 16, 66, 96 << 20}, // 64 MiB, and what they were copied from, which counts, too
	} {
		synctest.Test(t, func(t *testing.T) {
			p := serving(t, &parts{decoder: registration.Decoder{Profile: c.wanted}})
			before := heap()
			stored, held := p.uploads(t, bodies, c.size)
			if held -= min(before, held); held > c.mostBytes || stored < c.least || stored > c.most {
				t.Errorf("%s: %d of %d stored, %d KiB held", name, stored, bodies, held>>10)
			}
			if again, _ := p.uploads(t, 8, c.size); again != 8 {
				t.Errorf("%s: afterwards %d of 8 stored", name, again)
			}
			for _, e := range p.events {
				if e.Profile != nil || e.ProfileOmitted != c.wanted {
					t.Errorf("delivered with a profile of %d bytes, omitted: %t", len(e.Profile), e.ProfileOmitted)
				}
			}
		})
	}
}

// uploads sends bodies that wait before their end until all have come so far or are refused. It returns how many were
// stored, and the heap's size while they waited.
func (p *parts) uploads(t *testing.T, n, size int) (stored int, held uint64) {
	t.Helper()
	chunk := strings.Repeat("p", 64<<10) // one for all
	gate, open := io.Pipe()
	answers := make(chan answer, n)
	for range n {
		body := []io.Reader{strings.NewReader(`{"user":{"a":"`)}
		for range size/len(chunk) - 1 {
			body = append(body, strings.NewReader(chunk))
		}
		body = append(body, gate, strings.NewReader(`"},"userId":"auth0|1","eventId":"e-1"}`))
		r := upload(t, io.MultiReader(body...), functions.MaxBody)
		go func() { answers <- p.serve(r) }()
	}
	synctest.Wait()
	held = heap()
	_ = open.Close()
	for range n {
		if a := <-answers; a.status == http.StatusOK {
			stored++
		} else {
			a.wantProblem(t, http.StatusServiceUnavailable, "busy")
		}
	}
	return stored, held
}

// heap returns the bytes in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
