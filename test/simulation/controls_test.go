//go:build controls

package simulation_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// control is a bug that is planted in the handler: if the judge did not detect it, the judge would prove nothing. The
// handler is built with the text instead replaced by planted. If instead is not in the source any more, the control
// must be updated.
type control struct {
	name, file       string
	instead, planted string
	also             string // more of the file, behind its end
}

func controls() []control {
	return []control{
		{
			"answers before the outbox has it", "handler/outbox/outbox.go",
			"	kept, err := put(ctx, q.messages, m.Encode(), hidden)\n",
			`	var err error
	kept := delivery.Kept{ID: "early"}
	go func() { _, _ = put(context.WithoutCancel(ctx), q.messages, m.Encode(), hidden) }()
`, "",
		},
		{
			"a producer id outlives its cluster", "handler/kafka/lane.go",
			"if err := l.newID(ctx); err != nil {",
			`if l.home != nil {
		l.connected = true
		l.p.dispatcher.able(l)
		return nil
	}
	if err := l.newID(ctx); err != nil {`, "",
		},
		{
			"a repeat goes to another cluster under the old id", "handler/kafka/repeat.go",
			"err := l.contradiction(b.partition, v, log)", "var err error", "",
		},
		{
			"repeats without the tenant", "handler/registration/event.go",
			"RepeatKey{Source: cmp.Or(e.Auth0Source, e.Source), ", `RepeatKey{Source: "", `, "",
		},
		{
			"a drain acknowledges before Kafka", "handler/relay/drain.go",
			"d.md, d.event, d.err = r.sendFitting(limit, d.event)",
			`go func(e registration.Event) { _, _, _ = r.sendFitting(context.WithoutCancel(limit), e) }(d.event)`, "",
		},
		{
			"a late answer deletes another's message", "handler/outbox/outbox.go",
			"	kept.Queue = QueueName\n	return kept, err\n",
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
`, `
var previous struct {
	mu   sync.Mutex
	kept delivery.Kept
}
`,
		},
		{
			"a lane uses a sequence again", "handler/kafka/lane.go",
			"l.sequence[b.partition] = (l.sequence[b.partition] + int32(len(b.items))) & math.MaxInt32", "_ = math.MaxInt32", "",
		},
		{
			"a clock that is wrong is the record's own fault", "handler/kafka/wire/codes.go",
			`{32, delivery.TopicRule, NotStored, "INVALID_TIMESTAMP", adviceClock},`,
			`{32, delivery.Invalid, NotStored | OneRecord, "INVALID_TIMESTAMP", adviceClock},`, "",
		},
	}
}

const controlSeeds = 1000

// TestReproducible checks that the same seed gives the same run, with a byte-identical log.
func TestReproducible(t *testing.T) {
	n := number("SIMULATION_TWICE_SEEDS", 200)
	s := newCampaign(t, build(t))
	s.twice = true
	s.run(number("SIMULATION_FIRST", 1), n, uint64(runtime.NumCPU()), 0)
	t.Logf("%d of %d seeds were not the same a second time", s.differ, n)
	if allowed := n / 100; uint64(s.differ) > allowed {
		t.Errorf("%d of %d seeds were not the same a second time, at most %d may", s.differ, n, allowed)
	}
}

// TestControls checks that the judge detects each planted bug within 1,000 seeds.
func TestControls(t *testing.T) {
	for _, c := range controls() {
		t.Run(c.name, func(t *testing.T) {
			binary := c.build(t)
			seeds, r := firstFailed(t, binary)
			if len(r.Problems) == 0 {
				t.Fatalf("%d seeds did not find it", seeds)
			}
			t.Logf("found by seed %d, the %d. that was tried: %s", r.Seed, seeds, r.Problems[0])
		})
	}
}

// build builds this test with the bug in the handler.
func (c control) build(t *testing.T) (binary string) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", "..", filepath.FromSlash(c.file)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), c.instead); n != 1 {
		t.Fatalf("%s has the words of this control %d times: %s", c.file, n, c.instead)
	}
	return build(t, swap{source, c.instead, c.planted, c.also})
}

// firstFailed runs seeds until one fails, and returns their number.
func firstFailed(t *testing.T, binary string) (seeds int, r report) {
	t.Helper()
	cmd, out := command(t.Context(), t, binary, "^TestChild$", fmt.Sprintf("%s=1,1,%d", childSeeds, controlSeeds))
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	for out.Scan() {
		line, ok := strings.CutPrefix(out.Text(), reportPrefix)
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if !r.Begun {
			seeds++
		}
		if len(r.Problems) > 0 {
			return seeds, r
		}
	}
	return seeds, report{}
}
