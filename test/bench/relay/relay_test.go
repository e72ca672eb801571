package main

import (
	"context"
	"io"
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
	"userrelay/local/freeport"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic = "t"
	user  = "auth0|0123456789abcdef01234567"
)

// startRelay runs the program until the test ends. The returned function sends a registration, and repeats it while
// nothing listens yet.
func startRelay(t *testing.T, kind, brokers string) (register func() (answer []byte)) {
	t.Helper()
	port := strconv.Itoa(must.Get[int](t)(freeport.Find(t.Context())))
	env := map[string]string{"RELAY": kind, "KAFKA_BROKERS": brokers, "KAFKA_TOPIC": topic, "FUNCTIONS_CUSTOMHANDLER_PORT": port}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, func(name string) string { return env[name] }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the relay ended: %v", err)
		}
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func() (answer []byte) {
		wait.For(t, "an answer", func() bool {
			url, body := "http://127.0.0.1:"+port+"/api/RegisterUser", strings.NewReader(`{"userId":"`+user+`"}`)
			resp, err := client.Do(must.Get[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)))
			if err != nil {
				return false
			}
			answer = must.Get[[]byte](t)(io.ReadAll(resp.Body))
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(answer)) {
				t.Errorf("status %d: %s", resp.StatusCode, answer)
			}
			return true
		})
		return answer
	}
}

// TestStoresTheHandlersRecord checks for every kind that the record equals the handler's, and that the answered place
// is right.
func TestStoresTheHandlersRecord(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"writer", "franz-go"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cluster := must.Get[*kfake.Cluster](t)(kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, topic)))
			t.Cleanup(cluster.Close)
			register := startRelay(t, kind, cluster.ListenAddrs()[0])
			register()
			sent := register()
			var a answer
			if err := json.Unmarshal(sent, &a); err != nil {
				t.Fatal(err)
			}
			records := must.Get[[]realkafka.Record](t)(realkafka.Read(wait.Context(t), cluster.ListenAddrs(), topic))
			i := slices.IndexFunc(records, func(r realkafka.Record) bool { return r.Partition == int32(a.Partition) && r.Offset == a.Offset })
			if i < 0 || len(records) != 2 {
				t.Fatalf("none of %d records is at offset %d", len(records), a.Offset)
			}
			check(t, records[i], a)
		})
	}
}

func check(t *testing.T, got realkafka.Record, a answer) {
	t.Helper()
	event := registration.Event{ID: registration.DeriveID("", user, ""), UserID: user, Source: "urn:auth0:unknown", Time: time.UnixMilli(a.Timestamp)}
	want := event.Record(registration.Header{Key: "traceparent"})
	if string(got.Key) != string(want.Key) || string(got.Value) != string(want.Value) {
		t.Errorf("record %s = %s, want %s = %s", got.Key, got.Value, want.Key, want.Value)
	}
	var headers []registration.Header
	for i, h := range got.Headers {
		headers = append(headers, registration.Header{Key: h.Key, Value: string(h.Value)})
		if (h.Key == "ce_time" || h.Key == "traceparent") && i < len(want.Headers) {
			headers[i].Value = want.Headers[i].Value // another one each time
		}
	}
	if diff := cmp.Diff(want.Headers, headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if a.Topic != topic || a.EventID != event.ID || a.Timestamp != got.Timestamp.UnixMilli() {
		t.Errorf("answer %+v for the record of %d", a, got.Timestamp.UnixMilli())
	}
}

// TestBareAnswersAsLong checks that the answer of the relay without a broker is as long as a real one.
func TestBareAnswersAsLong(t *testing.T) {
	t.Parallel()
	sent := startRelay(t, "bare", "")()
	full := must.Get[[]byte](t)(json.Marshal(answer{registration.DeriveID("", "u", ""), "bench-ours", 3, 123456, 1789000000000}))
	if len(sent) != len(full) {
		t.Errorf("%d bytes, want %d: %s", len(sent), len(full), full)
	}
}
