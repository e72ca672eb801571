package kafka_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/quiet"
	"userrelay/test/wait"
)

// deliver delivers the events through a relay, concurrently.
func deliver(t *testing.T, p relay.Producer, events []registration.Event) {
	t.Helper()
	r := relay.New(relay.Config{Producer: p, Observer: quiet.Observer{}, KafkaTimeout: patience})
	defer r.Close(t.Context())
	var all sync.WaitGroup
	for _, e := range events {
		all.Go(func() {
			out, err := r.Deliver(t.Context(), e)
			if err != nil || out.EventID != e.ID {
				t.Errorf("%s: %+v, %v", e.ID, out, err)
			}
		})
	}
	all.Wait()
}

func checkProfiles(t *testing.T, log []realkafka.Record, events []registration.Event, limit int) {
	t.Helper()
	if err := ledger.CheckProfiles(log, events, limit); err != nil {
		t.Error(err)
	}
}

func limited(limit int) kfake.Opt {
	return kfake.BrokerConfigs(map[string]string{"message.max.bytes": strconv.Itoa(limit)})
}

// TestLargeAmongSmall has one event with a profile of 2 MB among many small ones.
func TestLargeAmongSmall(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int{"Kafka's default": 1_048_588, "a small topic": 50_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startBroker(t, limited(limit))
			p := newProducer(t, c.ListenAddrs())
			events := []registration.Event{ledger.Profiled("large", 2_000_000), ledger.Profiled("medium", 700_000)}
			for i := range 100 {
				events = append(events, ledger.Profiled(fmt.Sprint("small-", i), 1000))
			}
			deliver(t, p, events)
			checkProfiles(t, readLog(t, c), events, min(limit, registration.MaxRecord))
		})
	}
}

// TestAnySizes delivers events of random sizes to topics with several limits, in requests that are as full as
// possible.
func TestAnySizes(t *testing.T) {
	t.Parallel()
	for seed, limit := range map[uint64]int{1: 1_048_588, 2: 200_000, 3: 20_000, 4: 3_000} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			t.Parallel()
			connections := &listener{}
			c := startBroker(t, limited(limit), kfake.SeedTopics(3, topic), kfake.ListenFn(connections.listen))
			p := newProducer(t, c.ListenAddrs())
			produce(t, p, "before")
			draw := rand.New(rand.NewPCG(seed, 0))
			var events []registration.Event
			for i := range 250 {
				size := draw.IntN(2 * limit / 100)
				if draw.IntN(10) == 0 {
					size = draw.IntN(2 * limit)
				}
				events = append(events, ledger.Profiled(strconv.Itoa(i), size))
			}
			_, release := connections.hold() // so that they gather, however slowly they come
			var all sync.WaitGroup
			all.Go(func() { deliver(t, p, events) })
			wait.For(t, "some wait", func() bool { n, _ := p.Held(); return n > 100 })
			release()
			all.Wait()
			checkProfiles(t, readLog(t, c), events, min(limit, registration.MaxRecord))
		})
	}
}
