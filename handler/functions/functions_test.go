package functions_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// marker is text that no answer may repeat.
const marker = "jane.doe@example.com"

const register = "/api/RegisterUser"

// parts are the dependencies of the handler. A function that is nil must not be called, except deliver and check,
// which then succeed.
type parts struct {
	t         *testing.T
	deliver   func(ctx context.Context, e registration.Event) (relay.Outcome, error)
	drain     func(ctx context.Context, message []byte) error
	check     func(ctx context.Context) error
	panicked  func(ctx context.Context, value any, stack []byte)
	unhealthy func(ctx context.Context, err error)
	healthy   func(ctx context.Context)

	notDrained []error
	leftOut    []string
}

func (p *parts) Deliver(ctx context.Context, e registration.Event) (relay.Outcome, error) {
	if p.deliver == nil {
		return outcome(e), nil
	}
	return p.deliver(ctx, e)
}

func (p *parts) Drain(ctx context.Context, message []byte) error {
	if p.drain == nil {
		p.t.Errorf("drain: %s", message)
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
	if p.panicked == nil {
		p.t.Errorf("panicked: %v\n%s", value, stack)
		return
	}
	p.panicked(ctx, value, stack)
}

func (p *parts) Unhealthy(ctx context.Context, err error) {
	if p.unhealthy == nil {
		p.t.Errorf("unhealthy: %v", err)
		return
	}
	p.unhealthy(ctx, err)
}

func (p *parts) NotDrained(_ context.Context, _ registration.Event, err error) {
	p.notDrained = append(p.notDrained, err)
}

func (p *parts) TenantLeftOut(_ context.Context, e registration.Event) {
	p.leftOut = append(p.leftOut, e.ID)
}

func (p *parts) Healthy(ctx context.Context) {
	if p.healthy == nil {
		p.t.Error("healthy")
		return
	}
	p.healthy(ctx)
}

func (p *parts) handler(t *testing.T) *functions.Handler {
	t.Helper()
	p.t = t
	return functions.New(functions.Config{Decoder: registration.Decoder{Profile: true}, Deliver: p, Drain: p, Kafka: p, Observer: p})
}

func outcome(e registration.Event) relay.Outcome {
	return relay.Outcome{Kind: relay.InKafka, EventID: e.ID, Kafka: delivery.RecordMetadata{
		Topic: "user-events", Partition: 3, Offset: 317, Timestamp: time.UnixMilli(1641950606804),
	}}
}

// storedJSON is the answer to a registration with this event id.
func storedJSON(eventID string) string {
	return `{"eventId":"` + eventID + `","topic":"user-events","partition":3,"offset":317,"timestamp":1641950606804}`
}

// post returns a registration with the user id auth0|1 and the event id e-1.
func post(t *testing.T) *http.Request {
	t.Helper()
	return request(t, http.MethodPost, register, strings.NewReader(`{"userId":"auth0|1","eventId":"e-1"}`))
}

func request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.Method = method
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatal(err)
	}
	r.URL, r.RequestURI = u, path
	return r
}

// answer is a complete answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func serve(t *testing.T, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func (a answer) wantStored(t *testing.T, eventID string) {
	t.Helper()
	if a.status != http.StatusOK || a.body != storedJSON(eventID) {
		t.Errorf("answer %d %s, want 200 %s", a.status, a.body, storedJSON(eventID))
	}
	a.wantHeaders(t, "application/json")
}

func (a answer) wantHeaders(t *testing.T, mediaType string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": mediaType, "Content-Length": strconv.Itoa(len(a.body)), "Cache-Control": "no-store",
	} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

// problem is a problem document (RFC 9457) as this handler writes it.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	EventID string `json:"eventId,omitzero"`
}

// wantProblem checks a problem document, which must have no other members, and returns its detail.
func (a answer) wantProblem(t *testing.T, status int, kind string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
	if a.status != status || p.Status != status || p.Type != "urn:userrelay:problem:"+kind || p.Title != http.StatusText(status) || p.Detail == "" {
		t.Errorf("answer %d %s, want %d of type %s", a.status, a.body, status, kind)
	}
	a.wantHeaders(t, "application/problem+json")
	retry := map[bool]string{true: a.header.Get("Retry-After"), false: "none"}[status == http.StatusServiceUnavailable]
	if retry != "1" && retry != "2" && retry != "none" || status != http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" {
		t.Errorf("Retry-After = %q with %d", a.header.Get("Retry-After"), status)
	}
	a.wantNoEcho(t)
	return p
}

func (a answer) wantNoEcho(t *testing.T) {
	t.Helper()
	if strings.Contains(a.body, marker) {
		t.Errorf("the answer repeats what was sent: %s", a.body)
	}
	for name, values := range a.header {
		if strings.Contains(name+strings.Join(values, ","), marker) {
			t.Errorf("header %s repeats what was sent: %q", name, values)
		}
	}
}

// unwanted is a body that is not needed but must be read to its end.
func unwanted(t *testing.T) io.Reader {
	t.Helper()
	body := strings.NewReader(strings.Repeat(marker, 20_000))
	t.Cleanup(func() {
		if body.Len() > 0 {
			t.Errorf("%d bytes of the body were not read", body.Len())
		}
	})
	return body
}

type readFunc func(b []byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
