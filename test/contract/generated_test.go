package contract_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
)

// The number of requests that TestGenerated makes, and the number of its parts.
const (
	generatedRequests = 20_000
	generatedParts    = 4
)

// sending is a request, and the test's knowledge about it.
type sending struct {
	method, path, mediaType, encoding, key string
	body                                   []byte
	ends                                   error // of the body; nil: it arrives whole
	announced                              int64 // Content-Length, where it is not the body's
	noJSON                                 bool  // the body is no JSON, or not UTF-8
}

// generate makes a request; some are broken in another way than by their body.
func (g generator) generate() sending {
	s := sending{method: http.MethodPost, path: "/RegisterUser", mediaType: "application/json", body: g.body()}
	if g.IntN(40) == 0 {
		return sending{method: http.MethodGet, path: pick(g, "/Health", "/Version")}
	}
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
		s.body, s.noJSON = s.body[:len(s.body)-1], true
	case 1:
		s.body, s.noJSON = append(s.body, "{}"...), true
	case 2:
		s.body, s.noJSON = bytes.Replace(s.body, []byte{'"'}, []byte("\"\xff"), 1), bytes.ContainsRune(s.body, '"')
	case 3:
		s.method = pick(g, http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch)
	case 4:
		s.mediaType = pick(g, "image/png", "multipart/form-data", "/")
	case 5:
		s.encoding = "gzip"
	case 6:
		s.key = pick(g, "a b", strings.Repeat("k", 129), "é")
	case 7:
		s.ends = pick(g, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF)
	case 8:
		s.announced = functions.MaxBody + 1
	case 9:
		s.path, s.method = pick(g, "/Health", "/Version"), http.MethodPost
	}
	return s
}

// wants returns the permitted answers to a request, according to the document.
func (s sending) wants(a api, r *run) []int {
	switch stored := []int{200, 202, 422, 500, 503}; {
	case s.method != methodOf(s.path):
		return []int{405}
	case s.path == "/Version":
		return []int{200}
	case s.path == "/Health":
		return []int{200, 503}
	case r.stopping:
		return []int{503}
	case s.mediaType != "application/json", s.encoding != "":
		return []int{415}
	case s.announced > 0:
		return []int{413}
	case s.ends != nil:
		return []int{400, 408}
	case s.noJSON:
		return []int{400}
	case a.accepts(s.key, s.body):
		r.valid++
		return stored
	case s.key != "" && cloudEvent(s.body) && a.accepts("", s.body): // whose key is not read
		return stored
	default:
		r.broken++
		return []int{400}
	}
}

// cloudEvent says whether a valid body has that form.
func cloudEvent(body []byte) bool {
	var known struct {
		New  any `json:"specversion"`
		Old  any `json:"spec_version"`
		Type any `json:"type"`
	}
	return json.Unmarshal(body, &known) == nil && (known.New != nil || known.Old != nil) && known.Type != nil
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

func (s sending) request(t *testing.T) *http.Request {
	t.Helper()
	body := io.Reader(bytes.NewReader(s.body))
	if s.ends != nil {
		body = io.MultiReader(body, failing{s.ends})
	}
	r := httptest.NewRequestWithContext(t.Context(), s.method, "/api"+s.path, body)
	r.ContentLength = int64(len(s.body))
	if s.announced > 0 {
		r.ContentLength = s.announced
	}
	for name, v := range map[string]string{"Content-Type": s.mediaType, "Content-Encoding": s.encoding, "Idempotency-Key": s.key} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	return r
}

// run is a part of the test: its handlers and observations.
type run struct {
	store         *store
	handlers      []*functions.Handler // the last is shutting down
	stopping      bool
	seen          map[string]int // "POST /RegisterUser 200", and problem types
	valid, broken int
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
func (r *run) one(t *testing.T, g generator, a api, c contract) {
	t.Helper()
	s := g.generate()
	var fault error
	if g.IntN(4) == 0 {
		all := []delivery.Class{
			delivery.Unavailable, delivery.UnknownOutcome, delivery.Throttled, delivery.NotAuthorized, delivery.UnknownTopic,
			delivery.TopicRule, delivery.TooLarge, delivery.Invalid, delivery.Fatal,
		}
		fault = down(pick(g, all...))
	}
	r.store.tell(fault, g.IntN(200) == 0)
	n := g.IntN(len(r.handlers) * 5)
	n = min(n/5, len(r.handlers)-1)
	if r.stopping = n == len(r.handlers)-1; r.stopping && g.IntN(5) > 0 {
		n, r.stopping = 0, false
	}
	w := httptest.NewRecorder()
	r.handlers[n].ServeHTTP(w, s.request(t))

	told := func() string { return fmt.Sprintf("%s %s, key %q: %q", s.method, s.path, s.key, s.body) }
	if want := s.wants(a, r); !slices.Contains(want, w.Code) {
		t.Errorf("%s\nstatus %d, the document wants one of %v: %s", told(), w.Code, want, w.Body)
	}
	method := methodOf(s.path)
	if err := a.hold(method, s.path, w); err != nil {
		t.Errorf("%s\n%v", told(), err)
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
	if !utf8.Valid(w.Body.Bytes()) || w.Body.Len() > 0 && !jsontext.Value(w.Body.Bytes()).IsValid() {
		t.Errorf("%s\nanswered %q", told(), w.Body)
	}
}

// TestGenerated generates valid and broken requests from the schemas, and validates answers and records against the
// documents. Valid requests must be stored, or refused because of Kafka; broken ones must be refused because of the
// request. At the end every documented answer must have been seen, so that the document describes nothing that does
// not exist.
func TestGenerated(t *testing.T) {
	t.Parallel()
	root := tree(t, "openapi.yaml")
	a, c := loadAPI(t), loadContract(t)
	runs := make([]*run, generatedParts)
	var parts sync.WaitGroup
	for part := range generatedParts {
		runs[part] = newRun(t)
		parts.Go(func() {
			g := newGenerator(t, root, uint64(part))
			for i := 0; i < generatedRequests/generatedParts && !t.Failed(); i++ { // one is enough to look at
				runs[part].one(t, g, a, c)
			}
		})
	}
	parts.Wait()
	if t.Failed() {
		return
	}
	seen, valid, broken := map[string]int{}, 0, 0
	for _, r := range runs {
		for what, n := range r.seen {
			seen[what] += n
		}
		valid, broken = valid+r.valid, broken+r.broken
	}
	for _, what := range promised(t, root) {
		if seen[what] == 0 {
			t.Errorf("the document has %s, and it was never answered", what)
		}
	}
	if valid < generatedRequests/4 || broken < generatedRequests/10 {
		t.Errorf("%d valid requests and %d broken ones", valid, broken)
	}
	t.Logf("%d valid requests, %d broken ones; answers: %v", valid, broken, seen)
}

// promised returns all documented answers of the handler: statuses and problem types. 401 and 404 are the host's.
func promised(t *testing.T, root map[string]any) []string {
	t.Helper()
	var all []string
	for path, operations := range object(t, root["paths"]) {
		for method, operation := range object(t, operations) {
			for status := range object(t, object(t, operation)["responses"]) {
				if status != "401" && status != "404" {
					all = append(all, fmt.Sprintf("%s %s %s", method, path, status))
				}
			}
		}
	}
	urns, _ := at(t, root, "components", "schemas", "Problem", "properties", "type", "enum").([]any)
	for _, urn := range urns {
		all = append(all, fmt.Sprint(urn))
	}
	return slices.Sorted(slices.Values(all))
}
