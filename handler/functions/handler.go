// Package functions is the side of the program that the Functions host sees: an http.Handler with the HTTP functions of
// the app, and the server that runs it.
//
// It promises an answer to every request, whatever it holds: a bad one is refused with a problem document (RFC 9457)
// that says what to change and repeats nothing of what was sent; a panic costs one request; and what is held in memory
// for requests is bounded.
package functions

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// Deliverer stores a registration.
type Deliverer interface {
	Deliver(ctx context.Context, e registration.Event) (relay.Outcome, error)
}

// Checker says whether registrations can be stored in Kafka now.
type Checker interface {
	Check(ctx context.Context) error
}

// Observer is told of what goes wrong besides the delivery. It must neither block nor fail.
type Observer interface {
	// Panicked is called once for a request whose handling panicked.
	Panicked(ctx context.Context, value any, stack []byte)
	// Unhealthy and Healthy are called when the result of the check changes.
	Unhealthy(ctx context.Context, err error)
	// TenantLeftOut is called for a registration that named a tenant which cannot be one, before it is delivered.
	TenantLeftOut(ctx context.Context, e registration.Event)
	// NotDrained is called for an invocation of the queue trigger that holds no message. The event is empty.
	NotDrained(ctx context.Context, e registration.Event, err error)
	Healthy(ctx context.Context)
}

// Limits of what is in progress at a time. Above them a request is answered 503.
const (
	maxRequests = 2000
	maxBodies   = 64 << 20 // bytes held of bodies, not sent
	// MaxBody is the largest body that is read, in bytes: Auth0's own limit for metadata. Of a large one little is held.
	MaxBody = 16 << 20
)

// Config names the parts that the functions work with.
type Config struct {
	Decoder  registration.Decoder
	Deliver  Deliverer
	Drain    Drainer
	Kafka    Checker
	Observer Observer
	Build    func() Build     // asked at most once a request; nil: nothing is known
	Now      func() time.Time // the wall clock, for when a registration came; nil: the system's
}

// Handler answers the requests of the Functions host.
type Handler struct {
	decoder  registration.Decoder
	deliver  Deliverer
	drainer  Drainer
	health   health
	build    func() Build
	now      func() time.Time
	observer Observer
	gate     gate
	drains   gate // of the queue trigger
	stopping atomic.Bool

	functions map[string]function // by path, in lower case
	unknown   function
}

// registerPath is how nearly all requests call the function of the app.
const registerPath = "/api/RegisterUser"

// New returns the handler.
func New(c Config) *Handler {
	h := &Handler{
		decoder:  c.Decoder,
		deliver:  c.Deliver,
		drainer:  c.Drain,
		health:   health{checker: c.Kafka, observer: c.Observer, now: time.Now},
		build:    c.Build,
		now:      c.Now,
		observer: c.Observer,
		gate:     gate{maxRequests: maxRequests, maxBytes: maxBodies},
		drains:   gate{maxRequests: maxDrains},
	}
	if h.build == nil {
		h.build = func() Build { return Build{} }
	}
	if h.now == nil {
		h.now = time.Now
	}
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	register := function{"RegisterUser", post, h.registerUser}
	h.functions = map[string]function{
		// The host asks until the first answer before it lets requests through, and goes on asking now and then.
		"":                            {"", get, ready},
		registerPath:                  register,
		strings.ToLower(registerPath): register,
		"/api/health":                 {"Health", get, h.health.serve},
		"/api/version":                {"Version", get, h.version},
		"/drainoutbox":                {"DrainOutbox", post, h.drainOutbox},
	}
	h.unknown = function{"", nil, notFound}
	return h
}

// ShutDown makes the handler answer 503 to all registrations and messages that come from now on.
func (h *Handler) ShutDown() { h.stopping.Store(true) }

// ServeHTTP finds the function as the Functions host does: without regard to case, with or without a slash at the end,
// and never by a redirect, which the host would hand to the caller. A slash that is written %2F separates nothing.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path != registerPath {
		path = strings.ToLower(path)
	}
	if raw := strings.ToLower(r.URL.RawPath); strings.Contains(raw, "%2f") {
		path = raw
	}
	f, ok := h.functions[path]
	if !ok {
		f = h.unknown
	}
	h.serve(w, r, f)
}

func ready(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("userrelay\n"))
}

func notFound(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	problem{Status: http.StatusNotFound, Type: "not-found", Detail: "The functions are /api/RegisterUser, /api/Health and /api/Version."}.write(w)
}
