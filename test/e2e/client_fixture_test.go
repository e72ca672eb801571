package e2e_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/test/wait"
)

// client sends requests to one address.
type client struct {
	base string
	http *http.Client
}

func newClient(t *testing.T, base string) client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return client{base, &http.Client{
		Transport:     transport,
		Timeout:       wait.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// reply is a complete answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// call sends a request. Headers are "Name: value".
func (c client) call(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := c.try(t.Context(), method, path, strings.NewReader(body), headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// register posts a body to the function.
func (c client) register(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	return c.call(t, http.MethodPost, "/api/RegisterUser", body, headers...)
}

// try is call for goroutines, and for requests that may get no answer. A body that is not a *strings.Reader is sent in
// chunks.
func (c client) try(ctx context.Context, method, path string, body io.Reader, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return reply{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(text)}, err
}

// stored is the answer to a registration that Kafka has stored.
type stored struct {
	EventID   string `json:"eventId"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
}

// place returns the record's place in telemetry's format.
func (s stored) place() string { return fmt.Sprintf("%s[%d]@%d", s.Topic, s.Partition, s.Offset) }

// stored checks that the answer is 200 and has the members of a stored registration, and returns them.
func (r reply) stored(t *testing.T) stored {
	t.Helper()
	var s stored
	r.wantJSON(t, http.StatusOK, "application/json", &s, "eventId", "topic", "partition", "offset", "timestamp")
	return s
}

// problem is an answer of application/problem+json.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	EventID string `json:"eventId"`
}

// problem checks that the answer is a problem document with the status and the type, with or without an event id, and
// that it has Retry-After exactly if the sender should try again.
func (r reply) problem(t *testing.T, status int, kind string, retry, eventID bool) problem {
	t.Helper()
	var p problem
	members := []string{"type", "title", "status", "detail"}
	if eventID {
		members = append(members, "eventId")
	}
	r.wantJSON(t, status, "application/problem+json", &p, members...)
	if p.Type != "urn:userrelay:problem:"+kind || p.Status != status || p.Title != http.StatusText(status) {
		t.Errorf("got problem %+v, want type %s, status %d and its text", p, kind, status)
	}
	after := r.header.Values("Retry-After")
	switch {
	case !retry && len(after) > 0:
		t.Errorf("Retry-After: got %q, want none", after)
	case retry && (len(after) != 1 || after[0] != "1" && after[0] != "2"):
		t.Errorf("Retry-After: got %q, want 1 or 2", after)
	}
	return p
}

// wantJSON checks status and media type, and reads a JSON object that has exactly these members.
func (r reply) wantJSON(t *testing.T, status int, mediaType string, into any, members ...string) {
	t.Helper()
	if r.status != status || r.header.Get("Content-Type") != mediaType {
		t.Fatalf("got %d %s %q, want %d %s", r.status, r.header.Get("Content-Type"), r.body, status, mediaType)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(r.body), &object); err != nil {
		t.Fatalf("read %q: %v", r.body, err)
	}
	slices.Sort(members)
	if diff := cmp.Diff(members, slices.Sorted(maps.Keys(object))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("read %q: %v", r.body, err)
	}
}
