package contract_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
)

// The number of requests that TestGenerated makes, and the number of its parts.
const (
	generatedRequests = 20_000
	generatedParts    = 4
)

// sending is a request, and the statuses that it may be answered with.
type sending struct {
	method, path, mediaType, encoding, key string
	body                                   []byte
	ends                                   error // of the body; nil: it arrives whole
	announced                              int   // Content-Length, where it is not the body's
	want                                   []int // nil: as the document says of body and key
}

// generate makes a request, of a body that may be broken; some are broken in another way.
func (g generator) generate(form any) sending {
	if g.IntN(40) == 0 {
		return pick(g,
			sending{method: http.MethodGet, path: "/Health", want: []int{200, 503}}, sending{method: http.MethodGet, path: "/Version", want: []int{200}})
	}
	s := sending{method: http.MethodPost, path: "/RegisterUser", mediaType: "application/json", body: g.body(form)}
	switch g.IntN(10) {
	case 0:
		s.key = pick(g, "k-1", "k-2") // of others, too
	case 1, 2:
		for range pick(g, 1, 20, 128) {
			s.key += string(rune('!' + g.IntN('~'-'!'+1)))
		}
	}
	switch g.IntN(60) {
	case 0:
		s.body, s.want = s.body[:len(s.body)-1], []int{400}
	case 1:
		s.body, s.want = append(s.body, "{}"...), []int{400}
	case 2:
		s.body, s.want = bytes.Replace(s.body, []byte{'"'}, []byte("\"\xff"), 1), []int{400}
	case 3:
		s.method, s.want = pick(g, http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch), []int{405}
	case 4:
		s.mediaType, s.want = pick(g, "image/png", "multipart/form-data", "/"), []int{415}
	case 5:
		s.encoding, s.want = "gzip", []int{415}
	case 6:
		s.key = pick(g, "a b", strings.Repeat("k", 129), "é")
	case 7:
		s.ends, s.want = pick(g, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF), []int{400, 408}
	case 8:
		s.announced, s.want = functions.MaxBody+1, []int{413}
	case 9:
		s.path, s.want = pick(g, "/Health", "/Version"), []int{405}
	}
	return s
}

func (s sending) request(t *testing.T) *http.Request {
	t.Helper()
	body := io.Reader(bytes.NewReader(s.body))
	if s.ends != nil {
		body = io.MultiReader(body, iotest.ErrReader(s.ends))
	}
	r := httptest.NewRequestWithContext(t.Context(), s.method, "/api"+s.path, body)
	r.ContentLength = int64(max(len(s.body), s.announced))
	for name, v := range map[string]string{"Content-Type": s.mediaType, "Content-Encoding": s.encoding, "Idempotency-Key": s.key} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	return r
}

// run is a part of the test: its handlers and observations.
type run struct {
	store    *store
	handlers []*functions.Handler // the last is shutting down
	seen     map[string]int       // "POST /RegisterUser 200", problem types, "valid" and "broken"
}

func newRun(t *testing.T) *run {
	t.Helper()
	r := &run{store: &store{}, seen: map[string]int{}}
	full, id := registration.Decoder{Profile: true}, registration.Decoder{Tenant: "acme"}
	r.handlers = []*functions.Handler{
		app(t, r.store, nil, full),
		app(t, r.store, nil, id),
		app(t, r.store, outbox{}, full),
		app(t, r.store, outbox{err: down(delivery.Unavailable)}, id),
		app(t, r.store, outbox{err: down(delivery.UnknownOutcome)}, id),
		app(t, r.store, outbox{}, full),
	}
	r.handlers[len(r.handlers)-1].ShutDown()
	return r
}

// one sends a request and validates the result.
func (r *run) one(t *testing.T, g generator, form any, a api, c contract) {
	t.Helper()
	s := g.generate(form)
	n := g.IntN(len(r.handlers))
	stopping := n == len(r.handlers)-1
	if stopping && g.IntN(5) > 0 {
		n, stopping = 0, false
	}
	var fault error
	if g.IntN(4) == 0 || n == 2 && g.IntN(3) > 0 { // Kafka is away from one of them for long
		fault = down(pick(g,
			delivery.Unavailable, delivery.UnknownOutcome, delivery.Throttled, delivery.NotAuthorized, delivery.UnknownTopic,
			delivery.TopicRule, delivery.TooLarge, delivery.Invalid, delivery.Fatal,
		))
	}
	r.store.tell(fault, g.IntN(200) == 0)
	w := httptest.NewRecorder()
	r.handlers[n].ServeHTTP(w, s.request(t))

	want, method := s.want, methodOf(s.path)
	switch {
	case stopping && s.method+s.path == "POST/RegisterUser":
		want = []int{503}
	case want != nil:
	case a.accepts(s.key, s.body):
		r.seen["valid"]++
		want = []int{200, 202, 422, 500, 503}
	default:
		r.seen["broken"]++
		want = []int{400}
	}
	err := a.hold(method, s.path, w)
	if !slices.Contains(want, w.Code) {
		err = errors.Join(err, fmt.Errorf("status %d, the document wants one of %v: %s", w.Code, want, w.Body))
	}
	if err != nil {
		t.Errorf("%s %s, key %q: %q\n%v", s.method, s.path, s.key, s.body, err)
	}
	r.seen[fmt.Sprintf("%s %s %d", strings.ToLower(method), s.path, w.Code)]++
	for v := range strings.SplitSeq(w.Body.String(), `"`) {
		if strings.HasPrefix(v, "urn:userrelay:problem:") {
			r.seen[v]++
		}
	}
	if record := r.store.kept(); record != nil {
		c.hold(t, *record)
	}
}

// TestGenerated generates valid and broken requests from the schemas, and validates answers and records against the
// documents. Valid requests must be stored, or refused because of Kafka; broken ones must be refused because of the
// request. At the end every documented answer must have been seen, so that the document describes nothing that does
// not exist.
func TestGenerated(t *testing.T) {
	t.Parallel()
	root := tree(t, "openapi.yaml")
	form := at(t, root, "components", "schemas", "Registration")
	a, c := loadAPI(t), loadContract(t)
	runs := make([]*run, generatedParts)
	var parts sync.WaitGroup
	for part := range generatedParts {
		runs[part] = newRun(t)
		parts.Go(func() {
			g := newGenerator(t, uint64(part))
			for i := 0; i < generatedRequests/generatedParts && !t.Failed(); i++ { // one is enough to look at
				runs[part].one(t, g, form, a, c)
			}
		})
	}
	parts.Wait()
	if t.Failed() {
		return
	}
	seen := map[string]int{}
	for _, r := range runs {
		for what, n := range r.seen {
			seen[what] += n
		}
	}
	for _, what := range promised(t, root) {
		if seen[what] == 0 {
			t.Errorf("the document has %s, and it was never answered", what)
		}
	}
	if seen["valid"] < generatedRequests/4 || seen["broken"] < generatedRequests/10 {
		t.Error("too few valid requests, or too few broken ones")
	}
	t.Logf("seen: %v", seen)
}

// promised returns all documented answers of the handler: statuses and problem types. 401 and 404 are the host's.
func promised(t *testing.T, root map[string]any) (all []string) {
	t.Helper()
	for path, operations := range object(t, root["paths"]) {
		for method, operation := range object(t, operations) {
			for status := range object(t, at(t, operation, "responses")) {
				if status != "401" && status != "404" {
					all = append(all, fmt.Sprintf("%s %s %s", method, path, status))
				}
			}
		}
	}
	for _, urn := range list(at(t, root, "components", "schemas", "Problem", "properties", "type", "enum")) {
		all = append(all, fmt.Sprint(urn))
	}
	return all
}
