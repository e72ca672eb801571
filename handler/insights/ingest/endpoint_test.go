package ingest_test

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/insights/ingest"
	"userrelay/test/must"
	"userrelay/test/recorder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey   = "11111111-2222-3333-4444-555555555555"
	closeSoon = 5 * time.Second // for the end of a test: what is not sent then is not missed
)

// step is one answer of the endpoint. The zero value accepts the request.
type step struct {
	status     int
	retryAfter string
	location   string
	body       string
	hang       bool // until the client gives up
}

// broken is the status of a step that breaks the connection.
const broken = 599

// many is n answers of the same kind.
func many(n int, s step) []step { return slices.Repeat([]step{s}, n) }

// itemwise is a 206 with a status for each item; 0: accepted.
func itemwise(statuses ...int) step {
	var errors []string
	for i, status := range statuses {
		if status != 0 {
			errors = append(errors, fmt.Sprintf(`{"index":%d,"statusCode":%d}`, i, status))
		}
	}
	return step{status: http.StatusPartialContent, body: `{"errors":[` + strings.Join(errors, ",") + `]}`}
}

// post is one request as the endpoint saw it.
type post struct {
	at            time.Time
	host          string
	authorization string
	first         string // item
	items         int
}

// endpoint is an ingestion endpoint, and a sender's transport to it without a network. It answers according to its script, and then with the default.
type endpoint struct {
	script    []step
	byDefault step
	answer    func(post) step // if set, it answers instead

	url     string                                // "": some address of this machine
	token   func(context.Context) (string, error) // the sender's source of tokens; nil: none
	console recorder.Recorder                     // the sender's log

	mu    sync.Mutex
	posts []post
	items []string // of requests that were accepted as a whole
}

// RoundTrip answers a request.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	items, err := read(r)
	if err != nil {
		return nil, err
	}
	s := e.next(r, items)
	switch {
	case s.hang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case s.status == broken:
		return nil, errors.New("the connection broke")
	}
	return &http.Response{
		StatusCode: cmp.Or(s.status, http.StatusOK), Body: io.NopCloser(strings.NewReader(s.body)),
		Header: http.Header{"Retry-After": {s.retryAfter}, "Location": {s.location}},
	}, nil
}

// read returns the items of a request.
func read(r *http.Request) ([]string, error) {
	defer func() { _ = r.Body.Close() }()
	const want = "POST /v2.1/track application/x-json-stream gzip"
	if got := fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("Content-Type"), " ", r.Header.Get("Content-Encoding")); got != want {
		return nil, errors.New(got)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil || !strings.HasSuffix(string(text), "\n") {
		return nil, fmt.Errorf("no lines: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// next records a request and returns its answer.
func (e *endpoint) next(r *http.Request, items []string) step {
	p := post{time.Now(), r.URL.Host, r.Header.Get("Authorization"), strings.Clone(items[0]), len(items)} // the heap must not hold all items
	e.mu.Lock()
	defer e.mu.Unlock()
	e.posts = append(e.posts, p)
	s := e.byDefault
	switch {
	case e.answer != nil:
		s = e.answer(p)
	case len(e.script) > 0:
		s, e.script = e.script[0], e.script[1:]
	}
	if s.status == 0 && !s.hang {
		e.items = append(e.items, items...)
	}
	return s
}

// requests returns the requests so far.
func (e *endpoint) requests() []post {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.posts)
}

// accepted returns the items of requests that were accepted as a whole, in order.
func (e *endpoint) accepted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.items)
}

// then sets the endpoint's next answers.
func (e *endpoint) then(byDefault step, script ...step) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.script, e.byDefault = script, byDefault
}

func connection(tb testing.TB, endpoint string) ingest.Connection {
	tb.Helper()
	return must.Get[ingest.Connection](tb)(ingest.ParseConnection("InstrumentationKey=" + testKey + ";IngestionEndpoint=" + endpoint))
}

// rig is a sender and its endpoint.
type rig struct {
	*testing.T
	*endpoint
	*ingest.Sender
}

// start starts a sender to the endpoint, which is its transport. The sender is closed at the end of the test.
func start(t *testing.T, e *endpoint) rig {
	t.Helper()
	s := ingest.New(ingest.Config{
		Connection: connection(t, cmp.Or(e.url, "http://127.0.0.1:1/")), Token: e.token,
		Transport: e, Log: slog.New(slog.NewTextHandler(&e.console, nil)),
		Report: func(s ingest.Stats) []byte { return fmt.Appendf(nil, "stats %+v", s) },
	})
	t.Cleanup(func() { s.Close(closeSoon) })
	return rig{t, e, s}
}

// bubble runs a test of a sender in a bubble, where times are exact.
func bubble(t *testing.T, e *endpoint, run func(x rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(start(t, e)) })
}

// track tracks an item. The sender never looks into items, so any text without a line feed will do.
func (x rig) track(item string) { x.Track([]byte(item)) }

// counted returns the counters, which must include every item.
func (x rig) counted() ingest.Stats {
	x.Helper()
	s := x.Stats()
	if sum := s.Accepted + s.Rejected + s.Dropped + s.Pending; sum != s.Tracked {
		x.Errorf("tracked %d = accepted + rejected + dropped + pending %d: %+v", s.Tracked, sum, s)
	}
	return s
}
