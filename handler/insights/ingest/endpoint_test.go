package ingest_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/insights/ingest"
	"userrelay/test/must"
	"userrelay/test/recorder"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey   = "11111111-2222-3333-4444-555555555555"
	limit     = wait.Patience
	closeSoon = 5 * time.Second // for the end of a test: what is not sent then is not missed
)

// step is one answer of the endpoint. The zero value accepts the request.
type step struct {
	status     int
	retryAfter string
	location   string
	body       string
	hang       bool             // until the client gives up
	check      func(post) *step // another answer, depending on the request; nil: this one
}

// broken is the status of a step that breaks the connection, for an endpoint without a network.
const broken = 599

// many is n answers of the same kind.
func many(n int, s step) []step { return slices.Repeat([]step{s}, n) }

// post is one request as the endpoint saw it.
type post struct {
	at     time.Time
	host   string
	header http.Header
	first  string // item
	items  int
}

// endpoint answers according to its script, and then with the default.
type endpoint struct {
	mu        sync.Mutex
	script    []step
	byDefault step
	posts     []post
	items     []string // of requests that were accepted as a whole
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	items, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot) // which nobody expects
		return
	}
	p := post{time.Now(), r.Host, r.Header.Clone(), strings.Clone(items[0]), len(items)} // the heap must not hold all items
	e.mu.Lock()
	e.posts = append(e.posts, p)
	s := e.byDefault
	if len(e.script) > 0 {
		s, e.script = e.script[0], e.script[1:]
	}
	if s.check != nil {
		if other := s.check(p); other != nil {
			s = *other
		}
	}
	if s.status == 0 && !s.hang {
		e.items = append(e.items, items...)
	}
	e.mu.Unlock()
	s.reply(w, r)
}

// reply answers the request, with a packed body if the client allows that.
func (s step) reply(w http.ResponseWriter, r *http.Request) {
	if s.hang {
		<-r.Context().Done()
		return
	}
	for name, value := range map[string]string{"Retry-After": s.retryAfter, "Location": s.location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	body := []byte(s.body)
	if r.Header.Get("Accept-Encoding") == "gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body)
		_ = z.Close()
		body = packed.Bytes()
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	_, _ = w.Write(body)
}

// read returns the items of a request.
func read(r *http.Request) ([]string, error) {
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

// requests returns the requests so far.
func (e *endpoint) requests() []post {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.posts)
}

// accepted returns the items that were accepted by requests that were accepted as a whole, in order.
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

// RoundTrip makes an endpoint a sender's transport, without a network, so that a test can run in a bubble.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.Host = r.URL.Host
	e.ServeHTTP(w, r)
	_ = r.Body.Close()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if w.Code == broken {
		return nil, errors.New("the connection broke")
	}
	return w.Result(), nil
}

// track tracks an item. The sender never looks into items, so any text without a line feed will do.
func track(s *ingest.Sender, item string) { s.Track([]byte(item)) }

func connection(tb testing.TB, endpoint string) ingest.Connection {
	tb.Helper()
	return must.Get[ingest.Connection](tb)(ingest.ParseConnection("InstrumentationKey=" + testKey + ";IngestionEndpoint=" + endpoint))
}

// newSender returns a sender. The test closes it, at the latest at its end.
func newSender(tb testing.TB, c ingest.Config) *ingest.Sender {
	tb.Helper()
	c.Report = func(s ingest.Stats) []byte { return fmt.Appendf(nil, "stats %+v", s) }
	if c.Connection.Endpoint == "" {
		c.Connection = connection(tb, "http://127.0.0.1:1/")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := ingest.New(c)
	tb.Cleanup(func() { s.Close(closeSoon) })
	return s
}

// addUp checks that the counters include every item.
func addUp(t *testing.T, s ingest.Stats) {
	t.Helper()
	if sum := s.Accepted + s.Rejected + s.Dropped + s.Pending; sum != s.Tracked {
		t.Errorf("tracked %d = accepted + rejected + dropped + pending %d: %+v", s.Tracked, sum, s)
	}
}

// console collects the sender's log.
type console struct{ recorder.Recorder }

func (c *console) log() *slog.Logger { return slog.New(slog.NewTextHandler(c, nil)) }
