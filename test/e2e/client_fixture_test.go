package e2e_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/handler/outbox"
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
	return client{base, &http.Client{Transport: transport, Timeout: wait.Patience}}
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

// registerSoon registers until it works: a busy machine may need more time than an answer has.
func (c client) registerSoon(t *testing.T, body string) stored {
	t.Helper()
	var r reply
	wait.For(t, "a registration is stored", func() bool {
		r = c.register(t, body)
		return r.status != http.StatusServiceUnavailable
	})
	return r.stored(t)
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

// healthy says whether the function Health answers that Kafka can be reached.
func (c client) healthy(t *testing.T) bool {
	t.Helper()
	r, err := c.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody)
	return err == nil && r.status == http.StatusOK && r.body == `{"status":"ok"}`
}

// into checks the status and the media type, and reads the answer, which has no other members.
func (r reply) into(t *testing.T, status int, mediaType string, v any) {
	t.Helper()
	if r.status != status || r.header.Get("Content-Type") != mediaType {
		t.Fatalf("got %d %s %q, want %d %s", r.status, r.header.Get("Content-Type"), r.body, status, mediaType)
	}
	if err := json.Unmarshal([]byte(r.body), v, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("read %q: %v", r.body, err)
	}
}

// stored is the answer to a registration that Kafka has stored.
type stored struct {
	EventID   string `json:"eventId"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
}

func (r reply) stored(t *testing.T) (s stored) {
	t.Helper()
	r.into(t, http.StatusOK, "application/json", &s)
	if s.EventID == "" || s.Topic != topic || s.Timestamp == 0 {
		t.Errorf("got %s, want all of the record's place", r.body)
	}
	return s
}

// kept is the answer to a registration that is in the outbox.
type kept struct {
	EventID   string `json:"eventId"`
	Outbox    string `json:"outbox"`
	MessageID string `json:"messageId"`
}

func (r reply) kept(t *testing.T) (k kept) {
	t.Helper()
	r.into(t, http.StatusAccepted, "application/json", &k)
	if k.EventID == "" || k.Outbox != outbox.QueueName || k.MessageID == "" {
		t.Errorf("got %s, want where it is", r.body)
	}
	return k
}

// problem checks that the answer is a problem document of a kind, and that it has Retry-After exactly if the sender
// should try again. It returns the event id.
func (r reply) problem(t *testing.T, status int, kind string) (eventID string) {
	t.Helper()
	var p struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		EventID string `json:"eventId"`
	}
	r.into(t, status, "application/problem+json", &p)
	if p.Type != "urn:userrelay:problem:"+kind || p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" {
		t.Errorf("got problem %+v, want type %s, status %d and its text", p, kind, status)
	}
	after := strings.Join(r.header.Values("Retry-After"), " ")
	if again := status == http.StatusServiceUnavailable; again != (after == "1" || after == "2") || !again && after != "" {
		t.Errorf("got %d with Retry-After %q", status, after)
	}
	return p.EventID
}
