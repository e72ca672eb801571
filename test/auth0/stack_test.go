package auth0

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/local/realkafka"
	"userrelay/test/localrun"
)

const topic = "user-events"

// The programs that tests start: localBinary is the program of `go run ./local`, backfillBinary that of `go run
// ./auth0/backfill`.
var (
	localBinary, backfillBinary string                      //nolint:gochecknoglobals // TestMain has no other way to hand something to tests
	programs                    = sync.OnceValue(buildThem) //nolint:gochecknoglobals // built once for all tests, or never
)

// TestMain gives the programs a folder.
func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "userrelay-auth0-")
	code := 1
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	} else {
		localBinary, backfillBinary = filepath.Join(folder, "local.exe"), filepath.Join(folder, "backfill.exe") // names that all systems run
		code = m.Run()
	}
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// buildThem builds the programs, and the handler that local starts, so that concurrent runs of local find it and write
// nothing.
func buildThem() error {
	ctx := context.Background() // of no test alone
	return errors.Join(localrun.Build(ctx, localBinary), localrun.Compile(ctx, backfillBinary, "./auth0/backfill"))
}

// stack is a running go run ./local.
type stack struct{ *localrun.Stack }

func startStack(t *testing.T, args ...string) *stack {
	t.Helper()
	if err := programs(); err != nil {
		t.Fatal(err)
	}
	return &stack{localrun.Start(t, localBinary, environment(), args...)}
}

// secrets are those of an Action that calls the stack.
func (s *stack) secrets() map[string]any {
	return map[string]any{"FUNCTION_URL": s.URL, "FUNCTION_KEY": s.Key}
}

// broker stops the Kafka broker or starts it.
func (s *stack) broker(t *testing.T, running bool) {
	t.Helper()
	s.send(t, http.MethodPut, s.Page+"/broker", fmt.Sprintf(`{"running":%t}`, running), http.StatusOK)
}

// send sends a request, and returns the answer's header and its members.
func (s *stack) send(t *testing.T, method, url, body string, status int, headers ...string) (http.Header, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer map[string]any
	if err := json.UnmarshalRead(res.Body, &answer); err != nil || res.StatusCode != status {
		t.Fatalf("%s: got %d (%v), want %d", method, res.StatusCode, err, status)
	}
	return res.Header, answer
}

// record is a record of the topic as its consumers see it.
type record struct {
	place      string // partition and offset
	key, value string
	headers    map[string]string
}

// records reads the whole topic with an independent client.
func (s *stack) records(t *testing.T) (records []record) {
	t.Helper()
	found, err := realkafka.Read(t.Context(), []string{s.Brokers}, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		records = append(records, record{fmt.Sprintf("%d@%d", r.Partition, r.Offset), string(r.Key), string(r.Value), headers})
	}
	return records
}

// of returns the records of a user.
func (s *stack) of(t *testing.T, userID string) (records []record) {
	t.Helper()
	for _, r := range s.records(t) {
		if r.key == userID {
			records = append(records, r)
		}
	}
	return records
}
