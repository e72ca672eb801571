package simulation_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/simulation"
)

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil { //nolint:forbidigo // a test has no main to read settings in
		return n
	}
	return otherwise
}

// TestPromises checks that with any faults the registrations that were answered 2xx are in the topic, and that every
// copy has a known reason. SIMULATION_SEEDS is the number of schedules, SIMULATION_FIRST the first one; with
// SIMULATION_STEADY each run is exactly reproducible.
func TestPromises(t *testing.T) {
	program := os.Args[0]
	if os.Getenv("SIMULATION_STEADY") != "" { //nolint:forbidigo // a test has no main to read settings in
		program = build(t)
	}
	s := newCampaign(t, program)
	for _, seed := range failedBefore(t) {
		s.run(seed, 1, 1, 1)
	}
	s.run(number("SIMULATION_FIRST", 1), number("SIMULATION_SEEDS", 200), uint64(runtime.NumCPU()), 2)
	t.Log(s.progress())
}

// campaign runs many seeds in several processes.
type campaign struct {
	t       *testing.T
	program string
	began   time.Time
	twice   bool

	mu      sync.Mutex
	seeds   int
	events  int
	answers int
	faults  map[string]int
	copies  map[string]int
	differ  int
	failed  []uint64
}

func newCampaign(t *testing.T, program string) *campaign {
	t.Helper()
	return &campaign{t: t, program: program, began: time.Now(), faults: map[string]int{}, copies: map[string]int{}}
}

// run runs n seeds, beginning with first, and prints the stories of some that fail.
func (s *campaign) run(first, n, processes, stories uint64) {
	before := len(s.failed)
	processes = min(processes, n)
	var all sync.WaitGroup
	for k := range processes {
		all.Go(func() {
			next, left := first+k, (n-k+processes-1)/processes
			for left > 0 { // again, where one crashed
				done := s.child(next, processes, left)
				next, left = next+done*processes, left-min(done, left)
			}
		})
	}
	stop := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.t.Log(s.progress())
			case <-stop:
				return
			}
		}
	})
	all.Wait()
	close(stop)
	telling.Wait()
	for i, seed := range s.failed[before:] {
		if uint64(i) < stories {
			s.t.Log(s.story(seed))
		}
	}
}

// progress prints the progress.
func (s *campaign) progress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(s.began)
	return fmt.Sprintf("%d seeds in %v (%.1f a second), %d failed; %d events, %d answers 2xx; faults %s; copies by row %s",
		s.seeds, took.Round(time.Second), float64(s.seeds)/took.Seconds(), len(s.failed), s.events, s.answers, counted(s.faults), counted(s.copies))
}

func counted(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

// stuckAfter is the time limit of a run: thousands of times its normal duration, for busy machines.
const stuckAfter = 15 * time.Minute

// child runs seeds in a separate process, and returns how many it has processed.
func (s *campaign) child(first, step, n uint64) (done uint64) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	env := []string{fmt.Sprintf("%s=%d,%d,%d", childSeeds, first, step, n)}
	if s.twice {
		env = append(env, childTwice+"=1")
	}
	cmd, out := command(ctx, s.t, s.program, "^TestChild$", env...)
	var tail []string
	current, under := first, false
	limit := time.AfterFunc(stuckAfter, cancel)
	defer limit.Stop()
	for out.Scan() {
		line, ok := strings.CutPrefix(out.Text(), reportPrefix)
		if !ok {
			tail = append(tail, out.Text())
			continue
		}
		var r report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			s.t.Errorf("a child said %q: %v", line, err)
			continue
		}
		limit.Reset(stuckAfter)
		current, under = r.Seed, r.Begun
		if r.Begun {
			tail = nil
			continue
		}
		done++
		s.add(r)
	}
	err := cmd.Wait()
	if under { // it crashed
		s.add(report{Seed: current, Problems: []string{fmt.Sprintf("CRASHED (%v):\n%s", err, strings.Join(tail[:min(len(tail), 60)], "\n"))}})
		done++
	} else if done < n {
		s.t.Errorf("a child ended after %d of %d seeds: %v\n%s", done, n, err, strings.Join(tail, "\n"))
		return n
	}
	return done
}

func (s *campaign) add(r report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.events += r.Events
	s.answers += r.Answers
	for _, f := range r.Faults {
		s.faults[f]++
	}
	for row, n := range r.Copies {
		s.copies[row] += n
	}
	if r.Differs != "" {
		s.differ++
		s.t.Logf("seed %d was another run a second time: %s", r.Seed, r.Differs)
	}
	if len(r.Problems) > 0 {
		s.failed = append(s.failed, r.Seed)
		s.t.Errorf("seed %d:\n%s", r.Seed, strings.Join(r.Problems, "\n"))
	}
}

// story returns the story of the shrunk plan of a failed seed.
func (s *campaign) story(seed uint64) string {
	cmd, out := command(s.t.Context(), s.t, s.program, "^TestShrink$", fmt.Sprintf("%s=%d", childShrink, seed))
	var b strings.Builder
	for out.Scan() {
		b.WriteString(out.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil {
		b.WriteString(err.Error())
	}
	return b.String()
}

// command starts a test of this program or a variant as a child, on one processor.
func command(ctx context.Context, t *testing.T, program, test string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(ctx, program, "-test.run="+test, "-test.timeout=0") //nolint:gosec // G204: it is itself
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1", "GOGC=400"), env...)     //nolint:forbidigo // a test has no main to read settings in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	return cmd, lines
}

// failedBefore are the seeds that once found a bug.
func failedBefore(t *testing.T) (seeds []uint64) {
	t.Helper()
	list, err := os.ReadFile("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// holds runs a plan that once failed.
func holds(t *testing.T, p simulation.Plan) {
	t.Helper()
	if r := run(t, p); len(r.Problems) > 0 {
		t.Errorf("%s", simulation.Story(p, r))
	}
}
