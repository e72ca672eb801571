// Package functions is the program's interface to the Functions host: an http.Handler with the functions of the app,
// and the server that runs it.
//
// It promises an answer to every request. A bad request is refused with a problem document (RFC 9457) that says what
// to change and repeats nothing of the request. A panic affects one request only. The memory for requests is limited.
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

// Observer is told about failures other than those of delivery. It must neither block nor fail.
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

// Limits of the requests in progress. Above them a request is answered 503.
const (
	maxRequests = 2000
	maxBodies   = 64 << 20 // bytes held of bodies, not sent
	// MaxBody is the largest body that is read, in bytes: Auth0's own limit for metadata. Only a small part of a large
	// body is kept in memory.
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

// registerPath is the path of nearly all requests.
const registerPath = "/api/RegisterUser"

// New returns the handler.
func New(c Config) *Handler {
	h := &Handler{
		decoder:  c.Decoder,
		deliver:  c.Deliver,
		drainer:  c.Drain,
		health:   health{checker: c.Kafka, observer: c.Observer, checking: make(chan struct{}, 1)},
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
		// The host polls this until the first answer before it forwards requests, and polls it again now and then.
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

// ShutDown makes the handler answer 503 to all registrations and messages that arrive from now on.
func (h *Handler) ShutDown() { h.stopping.Store(true) }

// ServeHTTP finds the function as the Functions host does: case does not matter, nor does a slash at the end. It never
// redirects, because the host would pass the redirect to the caller. An escaped slash (%2F) is not a separator.
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
