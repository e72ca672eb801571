package main

import (
	"net/http"
	"net/http/httptest"
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
	"userrelay/test/must"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic = "t"
	user  = "auth0|0123456789abcdef01234567"
)

// post sends a registration to a relay, and returns the answer.
func post(t *testing.T, relay http.HandlerFunc) string {
	t.Helper()
	w := httptest.NewRecorder()
	relay(w, httptest.NewRequestWithContext(wait.Context(t), http.MethodPost, "/api/RegisterUser", strings.NewReader(`{"userId":"`+user+`"}`)))
	if w.Code != http.StatusOK || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
		t.Fatalf("status %d, %v: %s", w.Code, w.Header(), w.Body)
	}
	return w.Body.String()
}

// TestStoresTheHandlersRecord checks for every kind that the record equals the handler's, and that the answered place
// is right.
func TestStoresTheHandlersRecord(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"kafka.Writer", "franz-go"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cluster := must.Get[*kfake.Cluster](t)(kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, topic)))
			t.Cleanup(cluster.Close)
			store, end, err := newProducer(kind, cluster.ListenAddrs(), topic)
			if err != nil {
				t.Fatal(err)
			}
			post(t, register(topic, store))
			sent := post(t, register(topic, store))
			if err := end(); err != nil {
				t.Error(err)
			}
			var a answer
			if err := json.Unmarshal([]byte(sent), &a); err != nil {
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
	stored := registration.Record{Key: got.Key, Value: got.Value}
	for i, h := range got.Headers {
		stored.Headers = append(stored.Headers, registration.Header{Key: h.Key, Value: string(h.Value)})
		if (h.Key == "ce_time" || h.Key == "traceparent") && i < len(want.Headers) {
			stored.Headers[i].Value = want.Headers[i].Value // another one each time
		}
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if a.Topic != topic || a.EventID != event.ID || a.Timestamp != got.Timestamp.UnixMilli() {
		t.Errorf("answer %+v for the record of %d", a, got.Timestamp.UnixMilli())
	}
}
