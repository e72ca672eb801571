package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/test/wait"
)

// TestReadiness shows that the host's probe is answered at once while Kafka does not answer: it does not wait for Kafka,
// not even behind registrations and health checks that do.
func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			o.begin(t, kafka)
			h := startHandler(t, kafka.setting(), "KAFKA_TIMEOUT=4s")
			var waiting sync.WaitGroup
			defer waiting.Wait()
			for range 4 {
				waiting.Go(func() {
					_, _ = h.try(t.Context(), http.MethodPost, "/api/RegisterUser", strings.NewReader(`{"userId":"a"}`))
				})
				waiting.Go(func() { _, _ = h.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody) })
			}
			for range 20 {
				r := h.call(t, http.MethodGet, "/", "")
				if r.status != http.StatusOK || r.took > answerLimit/2 {
					t.Fatalf("got %d after %v, want 200 at once", r.status, r.took)
				}
			}
		})
	}
}

// TestHealth shows both answers, that the answer is a word and no detail, and that Kafka is asked once a second at most,
// whoever asks.
func TestHealth(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	asked := kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Observe: true, Count: -1})
	h := startHandler(t, kafka.setting())
	begin := time.Now()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for time.Since(begin) < 1500*time.Millisecond {
				r, err := h.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody)
				if err != nil || r.status != http.StatusOK || r.body != `{"status":"ok"}` || r.header.Get("Content-Type") != "application/json" {
					t.Errorf("got %+v (%v), want 200, ok", r, err)
					return
				}
			}
		})
	}
	callers.Wait()
	most := 1 + int(time.Since(begin)/time.Second)
	if got := asked.Hits(); got < 1 || got > most {
		t.Errorf("Kafka was asked %d times in %v, want 1 to %d", got, time.Since(begin), most)
	}

	kafka.stop(t)
	wait.For(t, "the health turns", func() bool {
		r := h.call(t, http.MethodGet, "/api/Health", "")
		r.inTime(t)
		return r.status == http.StatusServiceUnavailable && r.body == `{"status":"degraded"}`
	})
	wait.For(t, "stderr says so", func() bool { return strings.Contains(h.stderr.String(), "Kafka cannot be reached") })
}
