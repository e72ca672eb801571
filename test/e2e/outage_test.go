package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

// outage is a way in which a broker can be unavailable.
type outage struct {
	name  string
	begin func(t *testing.T, b *broker)
}

func outages() []outage {
	faults := func(f faultproxy.Faults) func(*testing.T, *broker) {
		return func(t *testing.T, b *broker) {
			t.Helper()
			b.set(t, f)
		}
	}
	return []outage{
		{"stopped", func(t *testing.T, b *broker) {
			t.Helper()
			b.stop(t)
		}},
		{"black hole", faults(faultproxy.Faults{BlackHole: true})},
		{"cuts every connection", faults(faultproxy.Faults{
			Reset: true, Rules: []faultproxy.Rule{{Key: faultproxy.Any, Share: 1, Do: []faultproxy.Action{faultproxy.CutBefore}}},
		})},
	}
}

// TestOutage makes the broker unavailable, before the handler starts or while it runs, and available again: every
// answer arrives in time and tells the sender to try again, and the handler needs no restart.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		for _, from := range []string{"from the start", "later"} {
			t.Run(o.name+" "+from, func(t *testing.T) {
				t.Parallel()
				kafka := startBroker(t)
				if from != "later" {
					o.begin(t, kafka)
				}
				h := startHandler(t, kafka.setting())
				var answers []stored
				if from == "later" {
					answers = append(answers, h.register(t, `{"userId":"before"}`).stored(t))
					o.begin(t, kafka)
				}
				h.duringOutage(t)

				kafka.set(t, faultproxy.Faults{})
				for i := range 3 {
					answers = append(answers, h.registerSoon(t, fmt.Sprintf(`{"userId":"after%d"}`, i)))
				}
				wait.For(t, "health", func() bool { return h.call(t, http.MethodGet, "/api/Health", "").status == http.StatusOK })
				records := kafka.records(t)
				for _, a := range answers {
					at(t, records, a)
				}
			})
		}
	}
}

// duringOutage checks the handler's answers while the broker is unavailable.
func (h *handlerRun) duringOutage(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for i := range 8 {
		all.Go(func() {
			body := strings.NewReader(fmt.Sprintf(`{"userId":"during%d"}`, i))
			r, err := h.try(t.Context(), http.MethodPost, "/api/RegisterUser", body)
			after := r.header.Get("Retry-After")
			if err != nil || r.status != http.StatusServiceUnavailable || after != "1" && after != "2" {
				t.Errorf("got %+v (%v), want 503, Retry-After 1 or 2", r, err)
			}
		})
	}
	all.Go(func() {
		r, err := h.try(t.Context(), http.MethodGet, "/api/Health", http.NoBody)
		if err != nil || r.status != http.StatusServiceUnavailable || r.body != `{"status":"degraded"}` {
			t.Errorf("health: got %+v (%v), want 503, degraded", r, err)
		}
	})
}
