package portal_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/local/portal"
)

// rig is a portal with a client.
type rig struct {
	*portal.Portal
	url string
}

func start(t *testing.T, c portal.Config) *rig {
	t.Helper()
	p, err := portal.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p.Handler())
	t.Cleanup(func() {
		p.Close()
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return &rig{p, server.URL}
}

// answer is a response with its complete body.
type answer struct {
	*http.Response
	body string
}

// header is one of a request.
type header struct{ name, value string }

func (r *rig) send(t *testing.T, method, path, body string, headers ...header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	req.Close = true
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(text)}
}

// get returns the answer of a path, which must be 200 and JSON.
func get[T any](t *testing.T, r *rig, path string) (v T) {
	t.Helper()
	res := r.send(t, http.MethodGet, path, "")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", path, res.Status, res.body)
	}
	if err := json.Unmarshal([]byte(res.body), &v); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return v
}

// track posts envelopes and expects all to be accepted.
func (r *rig) track(t *testing.T, envelopes ...string) {
	t.Helper()
	res := r.send(t, http.MethodPost, "/v2.1/track", strings.Join(envelopes, "\n"))
	if res.StatusCode != http.StatusOK {
		t.Fatalf("track: %s: %s", res.Status, res.body)
	}
}

// message is the envelope of a trace. at is the time after noon.
func message(at time.Duration, operation, text, properties string) string {
	return envelope(at, operation, "MessageData", fmt.Sprintf(`"message":%q,"severityLevel":1,"properties":{%s}`, text, properties))
}

func envelope(at time.Duration, operation, kind, data string) string {
	moment := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Add(at).Format(time.RFC3339Nano)
	return fmt.Sprintf(`{"ver":1,"name":"Microsoft.ApplicationInsights.0.%s","time":%q,"tags":{"ai.operation.id":%q},`+
		`"data":{"baseType":%q,"baseData":{"ver":2,%s}}}`, kind, moment, operation, kind, data)
}

// counts is the content of an event of the stream.
type counts struct {
	Items   int64 `json:"items"`
	Records int64 `json:"records"`
	State   int64 `json:"state"`
	Outbox  int64 `json:"outbox"`
}

// stream reads server-sent events until the test ends.
type stream struct {
	lines *bufio.Scanner
	body  io.Closer
}

func (r *rig) stream(t *testing.T) *stream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", res.Status, res.Header.Get("Content-Type"))
	}
	return &stream{bufio.NewScanner(res.Body), res.Body}
}

// next returns the next event; false at the end of the stream.
func (s *stream) next(t *testing.T) (c counts, ok bool) {
	t.Helper()
	for s.lines.Scan() {
		data, found := strings.CutPrefix(s.lines.Text(), "data: ")
		if !found {
			continue
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatal(err)
		}
		return c, true
	}
	return c, false
}

// until reads events until one satisfies the condition.
func (s *stream) until(t *testing.T, what string, f func(counts) bool) {
	t.Helper()
	for {
		c, ok := s.next(t)
		if !ok {
			t.Fatalf("the stream ended before: %s", what)
		}
		if f(c) {
			return
		}
	}
}
