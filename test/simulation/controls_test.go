//go:build controls

package simulation_test

import (
	"path/filepath"
	"testing"

	"userrelay/test/must"
)

// control is a bug that is planted in the handler: if the judge did not detect it, the judge would prove nothing. If the
// text that it replaces is not in the source any more, the control must be updated.
type control struct {
	name string
	swap
}

func controls() []control {
	return []control{
		{"answers before the outbox has it", swap{
			"handler/outbox/outbox.go",
			"	kept, err := put(ctx, q.messages, m.Encode(), hidden)\n",
			`	var err error
	kept := delivery.Kept{ID: "early"}
	go func() { _, _ = put(context.WithoutCancel(ctx), q.messages, m.Encode(), hidden) }()
`,
		}},
		{"a producer id outlives its cluster", swap{
			"handler/kafka/lane.go",
			"if err := l.newID(ctx); err != nil {",
			`if l.home != nil {
		l.connected = true
		l.p.dispatcher.able(l)
		return nil
	}
	if err := l.newID(ctx); err != nil {`,
		}},
		{"a repeat goes to another cluster under the old id", swap{
			"handler/kafka/repeat.go", "err := l.contradiction(b.partition, v, log)", "var err error",
		}},
		{"repeats without the tenant", swap{
			"handler/registration/event.go", "RepeatKey{Source: cmp.Or(e.Auth0Source, e.Source), ", `RepeatKey{Source: "", `,
		}},
		{"a drain acknowledges before Kafka", swap{
			"handler/relay/drain.go",
			"d.md, d.event, d.err = r.sendFitting(limit, d.event)",
			`go func(e registration.Event) { _, _, _ = r.sendFitting(context.WithoutCancel(limit), e) }(d.event)`,
		}},
		{"a late answer deletes another's message", swap{
			"handler/outbox/outbox.go",
			"	kept.Queue = QueueName\n	return kept, err\n}\n",
			`	kept.Queue = QueueName
	if err == nil {
		previous.mu.Lock()
		defer previous.mu.Unlock()
		if previous.kept.ID != "" {
			kept, previous.kept = previous.kept, kept
		} else {
			previous.kept = kept
		}
	}
	return kept, err
}

var previous struct {
	mu   sync.Mutex
	kept delivery.Kept
}
`,
		}},
		{"a lane uses a sequence again", swap{
			"handler/kafka/lane.go",
			"l.sequence[b.partition] = (l.sequence[b.partition] + int32(len(b.items))) & math.MaxInt32",
			"_ = math.MaxInt32",
		}},
		{"a clock that is wrong is the record's own fault", swap{
			"handler/kafka/wire/codes.go",
			`{32, delivery.TopicRule, NotStored, "INVALID_TIMESTAMP", adviceClock},`,
			`{32, delivery.Invalid, NotStored | OneRecord, "INVALID_TIMESTAMP", adviceClock},`,
		}},
	}
}

const controlSeeds = 1000

// TestReproducible checks that the same seed gives the same run, with a byte-identical log.
func TestReproducible(t *testing.T) {
	n := number("SIMULATION_TWICE_SEEDS", 200)
	s := newCampaign(t, build(t), childTwice+"=1")
	s.run(number("SIMULATION_FIRST", 1), n, 0)
	t.Logf("%d of %d seeds were not the same a second time", s.differ, n)
	if allowed := n / 100; uint64(s.differ) > allowed {
		t.Errorf("%d of %d seeds were not the same a second time, at most %d may", s.differ, n, allowed)
	}
}

// TestControls checks that the judge detects each planted bug within 1,000 seeds.
func TestControls(t *testing.T) {
	for _, c := range controls() {
		t.Run(c.name, func(t *testing.T) {
			c.file = must.Get[string](t)(filepath.Abs(filepath.Join("..", "..", filepath.FromSlash(c.file))))
			for r := range reports(t, build(t, c.swap), 1, 1, controlSeeds) {
				switch problems := r.Result.Problems; {
				case r.Begun:
					t.Fatalf("seed %d: %s", r.Seed, problems[0])
				case len(problems) > 0:
					t.Logf("found by seed %d: %s", r.Seed, problems[0])
					return
				}
			}
			t.Errorf("%d seeds did not find it", controlSeeds)
		})
	}
}
