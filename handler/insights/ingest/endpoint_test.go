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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
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
	zipped     bool               // the body is packed, as the client allows
	hang       bool               // until the client gives up
	check      func(post) *step   // another answer, depending on the request
	answer     func(n int) string // a body for n items
}

// broken is the status of a step that breaks the connection, for an endpoint without a network.
const broken = 599

// post is one request as the endpoint saw it.
type post struct {
	at     time.Time
	host   string
	header http.Header
	lines  []string
}

// endpoint answers according to its script, and then accepts everything.
type endpoint struct {
	mu        sync.Mutex
	script    []step
	byDefault step // once the script is at its end
	posts     []post
	accepted  []string // lines of requests that were accepted as a whole
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot) // which nobody expects
		return
	}
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
		e.accepted = append(e.accepted, p.lines...)
	}
	e.mu.Unlock()
	s.reply(w, r, len(p.lines))
}

func (s step) reply(w http.ResponseWriter, r *http.Request, items int) {
	if s.hang {
		<-r.Context().Done()
		return
	}
	if s.retryAfter != "" {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	if s.location != "" {
		w.Header().Set("Location", s.location)
	}
	body := s.body
	switch {
	case s.answer != nil:
		body = s.answer(items)
	case body == "":
		body = fmt.Sprintf(`{"itemsReceived":%d,"itemsAccepted":%d,"errors":[]}`, items, items)
	}
	if s.zipped && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		body = pack(body)
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	_, _ = io.WriteString(w, body)
}

func pack(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func read(r *http.Request) (post, error) {
	if got := r.Method + " " + r.URL.Path; got != "POST /v2.1/track" {
		return post{}, fmt.Errorf("%s", got)
	}
	if got := r.Header.Get("Content-Type") + ", " + r.Header.Get("Content-Encoding"); got != "application/x-json-stream, gzip" {
		return post{}, fmt.Errorf("%s", got)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return post{}, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return post{}, err
	}
	p := post{at: time.Now(), host: r.Host, header: r.Header.Clone()}
	for line := range strings.Lines(string(text)) {
		p.lines = append(p.lines, strings.TrimSuffix(line, "\n"))
	}
	return p, nil
}

// requests returns the requests so far.
func (e *endpoint) requests() []post {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]post(nil), e.posts...)
}

// messages returns the messages of the traces that were accepted, in order.
func (e *endpoint) messages(t *testing.T) []string {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, line := range e.accepted {
		all = append(all, message(t, line))
	}
	return all
}

func message(t *testing.T, line string) string {
	t.Helper()
	var v struct {
		Data struct {
			BaseData struct {
				Message string `json:"message"`
			} `json:"baseData"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, line)
	}
	return v.Data.BaseData.Message
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

func encoder() *insights.Encoder {
	return insights.NewEncoder(insights.Node{Key: testKey, Role: "fn-user-events", Instance: "instance-1", Version: "1.2.3"})
}

func trackTrace(s insights.Sink, message string) { s.Track(encoder().Message(message)) }

func connection(tb testing.TB, endpoint string) ingest.Connection {
	tb.Helper()
	c, err := ingest.ParseConnection("InstrumentationKey=" + testKey + ";IngestionEndpoint=" + endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// newSender returns a sender with the transport. The test closes it, at the latest at its end.
func newSender(tb testing.TB, c ingest.Config) *ingest.Sender {
	tb.Helper()
	c.Report = encoder().Stats
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

// serve runs the endpoint on loopback and returns a sender that sends to it.
func serve(t *testing.T, e *endpoint, c ingest.Config) (*ingest.Sender, string) {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c.Connection = connection(t, server.URL)
	return newSender(t, c), server.URL
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
