package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/test/wait"
)

// TestReadiness shows that the host's probe is answered at once while Kafka does not answer. It does not even wait
// behind registrations and health checks that wait for Kafka.
func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			o.begin(t, kafka)
			h := startHandler(t, kafka.setting())
			round := 0
			wait.For(t, "the probe's answers while others wait for theirs", func() bool {
				round++
				return h.answersProbe(t, round)
			})
		})
	}
}

// answersProbe makes registrations and health checks wait for Kafka, and checks that each probe is answered. It says
// whether the registrations were still waiting; on a very slow machine they may have timed out.
func (h *handlerRun) answersProbe(t *testing.T, round int) (waited bool) {
	t.Helper()
	const callers = 4
	var waiting sync.WaitGroup
	defer waiting.Wait()
	var answered atomic.Int64
	user := func(i int) string { return fmt.Sprintf("round-%d-%d", round, i) }
	for i := range callers {
		waiting.Go(func() {
			_, _ = h.try(t.Context(), http.MethodPost, "/api/RegisterUser", strings.NewReader(`{"userId":"`+user(i)+`"}`))
			answered.Add(1)
		})
		waiting.Go(func() { _, _ = h.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody) })
	}
	for i := range callers {
		wait.For(t, "the registration is in the handler", func() bool { return strings.Contains(h.stdout.String(), user(i)) })
	}
	for range 20 {
		if r := h.call(t, http.MethodGet, "/", ""); r.status != http.StatusOK {
			t.Fatalf("got %d, want 200", r.status)
		}
	}
	return answered.Load() == 0
}

// TestHealth checks both answers, that they contain one word without details, and that Kafka is checked once a second
// at most.
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
				ok := r.status == http.StatusOK && r.body == `{"status":"ok"}`
				busy := r.status == http.StatusServiceUnavailable && r.body == `{"status":"degraded"}` // this machine, for too long
				if err != nil || !ok && !busy || r.header.Get("Content-Type") != "application/json" {
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

	wait.For(t, "all is well", func() bool { return h.call(t, http.MethodGet, "/api/Health", "").status == http.StatusOK })
	kafka.stop(t)
	wait.For(t, "the health turns", func() bool {
		r := h.call(t, http.MethodGet, "/api/Health", "")
		return r.status == http.StatusServiceUnavailable && r.body == `{"status":"degraded"}`
	})
	wait.For(t, "stderr says so", func() bool { return strings.Contains(h.stderr.String(), "Kafka is away") })
}
