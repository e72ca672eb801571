package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic = "t"
	body  = `{"userId":"auth0|0123456789abcdef01234567"}`
)

// startRelay runs the program until the test ends, and returns its URL.
func startRelay(t *testing.T, kind, brokers string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-kind", kind, "-addr", addr, "-brokers", brokers, "-topic", topic}, t.Output())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the relay ended: %v", err)
		}
	})
	return "http://" + addr + "/api/RegisterUser"
}

// post sends a registration, and repeats it while nothing listens yet.
func post(t *testing.T, url, body string) (status int, answer []byte, header http.Header) {
	t.Helper()
	ctx := wait.Context(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			answer, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, answer, resp.Header
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// TestStoresTheHandlersRecord checks for every kind that the record equals the handler's, and that the answered place
// is right.
func TestStoresTheHandlersRecord(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"writer", "writer-defaults", "franz-go"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, topic))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			url := startRelay(t, kind, cluster.ListenAddrs()[0])
			for range 3 {
				status, sent, _ := post(t, url, body)
				if status != http.StatusOK {
					t.Fatalf("status %d: %s", status, sent)
				}
				var a answer
				if err := json.Unmarshal(sent, &a); err != nil {
					t.Fatal(err)
				}
				checkRecord(t, cluster, a)
			}
		})
	}
}

func checkRecord(t *testing.T, cluster *kfake.Cluster, a answer) {
	t.Helper()
	got := read(t, cluster, a)
	event := registration.Event{
		ID: registration.DeriveID("", "auth0|0123456789abcdef01234567", ""), UserID: "auth0|0123456789abcdef01234567",
		Source: "urn:auth0:unknown", Time: time.UnixMilli(a.Timestamp),
	}
	want := event.Record(registration.Header{Key: "traceparent"})
	if string(got.Key) != string(want.Key) || string(got.Value) != string(want.Value) {
		t.Errorf("record %s = %s, want %s = %s", got.Key, got.Value, want.Key, want.Value)
	}
	var headers []registration.Header
	for _, h := range got.Headers {
		headers = append(headers, registration.Header{Key: h.Key, Value: string(h.Value)})
		if h.Key == "ce_time" || h.Key == "traceparent" {
			headers[len(headers)-1].Value = valueOf(want, h.Key) // another one each time
		}
	}
	if diff := cmp.Diff(want.Headers, headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if a.Topic != topic || a.EventID != event.ID || a.Timestamp != got.Timestamp.UnixMilli() {
		t.Errorf("answer %+v for the record of %d", a, got.Timestamp.UnixMilli())
	}
}

func valueOf(r registration.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return h.Value
		}
	}
	return ""
}

// read returns the record at the answered place.
func read(t *testing.T, cluster *kfake.Cluster, a answer) realkafka.Record {
	t.Helper()
	all, err := realkafka.Read(wait.Context(t), cluster.ListenAddrs(), topic)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r realkafka.Record) bool { return r.Partition == int32(a.Partition) && r.Offset == a.Offset })
	if i < 0 {
		t.Fatalf("no record at offset %d", a.Offset)
	}
	return all[i]
}

// TestBareAnswersAsLong checks that the answer of the relay without a broker is as long as a real one.
func TestBareAnswersAsLong(t *testing.T) {
	t.Parallel()
	status, sent, header := post(t, startRelay(t, "bare", ""), body)
	full, err := json.Marshal(answer{registration.DeriveID("", "u", ""), "bench-ours", 3, 123456, 1789000000000})
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK || len(sent) != len(full) || header.Get("Content-Length") != strconv.Itoa(len(full)) {
		t.Errorf("status %d, %d bytes, want 200 and %d: %s", status, len(sent), len(full), full)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	url := startRelay(t, "franz-go", cluster.ListenAddrs()[0])
	for name, tc := range map[string]struct {
		url, body string
		want      int
	}{
		"no JSON":      {url, "?", http.StatusBadRequest},
		"no user id":   {url, "{}", http.StatusBadRequest},
		"another path": {url + "s", body, http.StatusNotFound},
	} {
		if status, _, _ := post(t, tc.url, tc.body); status != tc.want {
			t.Errorf("%s: status %d, want %d", name, status, tc.want)
		}
	}
}

func TestUnknownKind(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-kind", "fast"}, t.Output()); err == nil {
		t.Error("a relay of no kind ran")
	}
}
