package functions_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/test/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	register = "/api/RegisterUser"
	marker   = "jane.doe@example.com" // no answer may repeat it
)

// parts are the dependencies of a handler. A function that is nil succeeds.
type parts struct {
	decoder  registration.Decoder
	build    func() functions.Build
	deliver  delivering
	drain    func(ctx context.Context, message []byte) error
	check    func(ctx context.Context) error
	panicked func(ctx context.Context, value any, stack []byte)
	want     string // what is told in the whole test

	*functions.Handler

	mu     sync.Mutex
	told   []string // by the calls of the observer
	events []registration.Event
}

type delivering func(ctx context.Context, e registration.Event) (relay.Outcome, error)

// serving starts the handler of some parts.
func serving(t *testing.T, p *parts) *parts {
	t.Helper()
	p.Handler = functions.New(functions.Config{Decoder: p.decoder, Deliver: p, Drain: p, Kafka: p, Observer: p, Build: p.build})
	t.Cleanup(func() {
		if told := p.tells(); told != p.want {
			t.Errorf("told %q, want %q", told, p.want)
		}
	})
	return p
}

func (p *parts) tell(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, what)
}

// tells returns what was told so far.
func (p *parts) tells() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.told, " ")
}

func (p *parts) Deliver(ctx context.Context, e registration.Event) (relay.Outcome, error) {
	p.mu.Lock()
	p.events = append(p.events, e)
	p.mu.Unlock()
	if p.deliver == nil {
		return outcome(e), nil
	}
	return p.deliver(ctx, e)
}

func (p *parts) Drain(ctx context.Context, message []byte) error {
	if p.drain == nil {
		p.tell("drained:" + string(message))
		return nil
	}
	return p.drain(ctx, message)
}

func (p *parts) Check(ctx context.Context) error {
	if p.check == nil {
		return nil
	}
	return p.check(ctx)
}

func (p *parts) Panicked(ctx context.Context, value any, stack []byte) {
	p.tell("panicked")
	if p.panicked != nil {
		p.panicked(ctx, value, stack)
	}
}

func (p *parts) Unhealthy(context.Context, error)                      { p.tell("unhealthy") }
func (p *parts) Healthy(context.Context)                               { p.tell("healthy") }
func (p *parts) NotDrained(context.Context, registration.Event, error) { p.tell("not-drained") }
func (p *parts) TenantLeftOut(_ context.Context, e registration.Event) { p.tell("left-out:" + e.ID) }

func outcome(e registration.Event) relay.Outcome {
	return relay.Outcome{Kind: relay.InKafka, EventID: e.ID, Kafka: delivery.RecordMetadata{
		Topic: "user-events", Partition: 3, Offset: 317, Timestamp: time.UnixMilli(1641950606804),
	}}
}

// storedJSON is the answer to a registration with this event id.
func storedJSON(eventID string) string {
	return `{"eventId":"` + eventID + `","topic":"user-events","partition":3,"offset":317,"timestamp":1641950606804}`
}

// simple is a registration with the user id auth0|1 and the event id e-1.
const simple = `{"userId":"auth0|1","eventId":"e-1"}`

// each runs a test for each case, beside others and in virtual time.
func each[C any](t *testing.T, cases map[string]C, run func(t *testing.T, c C)) {
	t.Helper()
	t.Parallel()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { run(t, c) })
		})
	}
}

func post(t *testing.T) *http.Request {
	t.Helper()
	return request(t, http.MethodPost, register, strings.NewReader(simple))
}

func request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.Method = method
	r.URL, r.RequestURI = must.Get[*url.URL](t)(url.ParseRequestURI(path)), path
	return r
}

// upload is a registration with a body of an announced or unknown (-1) length.
func upload(t *testing.T, body io.Reader, length int64) *http.Request {
	t.Helper()
	r := request(t, http.MethodPost, register, body)
	r.ContentLength = length
	return r
}

// answer is a complete answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// connection is a connection's writer. Its limits can be lifted.
type connection struct{ *httptest.ResponseRecorder }

func (connection) SetReadDeadline(time.Time) error  { return nil }
func (connection) SetWriteDeadline(time.Time) error { return nil }

func (p *parts) serve(r *http.Request) answer {
	w := connection{httptest.NewRecorder()}
	p.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// want checks an answer with JSON.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("answer %d %s, want %d %s", a.status, a.body, status, body)
	}
	a.wantHeaders(t, "application/json")
}

func (a answer) wantStored(t *testing.T) {
	t.Helper()
	a.want(t, http.StatusOK, storedJSON("e-1"))
}

// wantHeaders checks the headers of every answer, and that nothing in it repeats what was sent.
func (a answer) wantHeaders(t *testing.T, mediaType string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": mediaType, "Content-Length": strconv.Itoa(len(a.body)), "Cache-Control": "no-store",
	} {
		if got := a.header.Values(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for name, values := range a.header {
		if text := name + strings.Join(values, ",") + a.body; strings.Contains(text, marker) || a.header.Get("Location") != "" {
			t.Errorf("the answer repeats what was sent, or redirects: %s", text)
		}
	}
}

// wantProblem checks a problem document (RFC 9457) without an event id, and returns its detail.
func (a answer) wantProblem(t *testing.T, status int, kind string) (detail string) {
	t.Helper()
	begin := fmt.Sprintf(`{"type":"urn:userrelay:problem:%s","title":"%s","status":%d,"detail":"`, kind, http.StatusText(status), status)
	detail, ok := strings.CutPrefix(a.body, begin)
	detail, whole := strings.CutSuffix(detail, `"}`)
	if a.status != status || !ok || !whole || detail == "" {
		t.Errorf("answer %d %s, want %d %s…", a.status, a.body, status, begin)
	}
	a.wantHeaders(t, "application/problem+json")
	want := map[string]string{"busy": "1", "not-stored": "1 2", "outcome-unknown": "2"}[kind]
	if retry := a.header.Get("Retry-After"); (retry == "") != (want == "") || !strings.Contains(want, retry) {
		t.Errorf("Retry-After = %q with %d %s", retry, status, kind)
	}
	return strings.ReplaceAll(detail, `\"`, `"`)
}

// unwanted is a body that is not needed but must be read to its end.
func unwanted(t *testing.T) io.Reader {
	t.Helper()
	body := strings.NewReader(strings.Repeat(marker, 5_000))
	t.Cleanup(func() {
		if body.Len() > 0 {
			t.Errorf("%d bytes of the body were not read", body.Len())
		}
	})
	return body
}
