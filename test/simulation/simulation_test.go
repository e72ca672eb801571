package simulation_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/must"
	"userrelay/test/simulation"
)

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(setting(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// TestPromises checks that with any faults the registrations that were answered 2xx are in the topic, and that every
// copy has a known reason. SIMULATION_SEEDS is the number of schedules, SIMULATION_FIRST the first one; with
// SIMULATION_STEADY each run is exactly reproducible.
func TestPromises(t *testing.T) {
	program := os.Args[0]
	if setting("SIMULATION_STEADY") != "" {
		program = build(t)
	}
	s := newCampaign(t, program)
	for _, seed := range failedBefore() {
		s.run(seed, 1, 1)
	}
	s.run(number("SIMULATION_FIRST", 1), number("SIMULATION_SEEDS", 200), 2)
	t.Log(s.progress())
}

// TestRowsAreDocumented checks that the rows of the judge are those of docs/guarantees.md.
func TestRowsAreDocumented(t *testing.T) {
	text := must.Get[[]byte](t)(os.ReadFile(filepath.Join("..", "..", "docs", "guarantees.md")))
	var documented []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			documented = append(documented, name)
		}
	}
	if !slices.Equal(documented, simulation.Rows()) {
		t.Errorf("docs/guarantees.md has the rows %q, the judge has %q", documented, simulation.Rows())
	}
}

// campaign runs many seeds in several processes.
type campaign struct {
	t       *testing.T
	program string
	env     []string // of the children, in addition
	began   time.Time

	mu      sync.Mutex
	told    time.Time // when the progress was last printed
	seeds   int
	events  int
	answers int // 2xx
	faults  map[string]int
	copies  map[string]int
	differ  int
	failed  []uint64
}

func newCampaign(t *testing.T, program string, env ...string) *campaign {
	t.Helper()
	now := time.Now()
	return &campaign{t: t, program: program, env: env, began: now, told: now, faults: map[string]int{}, copies: map[string]int{}}
}

// run runs n seeds, beginning with first, and prints the stories of some that fail.
func (s *campaign) run(first, n uint64, stories int) {
	before := len(s.failed)
	processes := min(uint64(runtime.NumCPU()), n)
	var all sync.WaitGroup
	for k := range processes {
		all.Go(func() {
			for r := range reports(s.t, s.program, first+k, processes, (n-k+processes-1)/processes, s.env...) {
				s.add(r)
			}
		})
	}
	all.Wait()
	failed := s.failed[before:]
	for _, seed := range failed[:min(stories, len(failed))] {
		s.t.Log(s.story(seed))
	}
}

// progress describes the progress.
func (s *campaign) progress() string {
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

func (s *campaign) add(r report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.events += r.Result.Events
	for status, n := range r.Result.Answers {
		if status/100 == 2 {
			s.answers += n
		}
	}
	for _, f := range simulation.NewPlan(r.Seed).Faults {
		s.faults[string(f.Kind)]++
	}
	for row, n := range r.Result.Copies {
		s.copies[row] += n
	}
	if r.Differs != "" {
		s.differ++
		s.t.Logf("seed %d was another run a second time: %s", r.Seed, r.Differs)
	}
	if len(r.Result.Problems) > 0 {
		s.failed = append(s.failed, r.Seed)
		s.t.Errorf("seed %d:\n%s", r.Seed, strings.Join(r.Result.Problems, "\n"))
	}
	if time.Since(s.told) > 30*time.Second {
		s.told = time.Now()
		s.t.Log(s.progress())
	}
}

// story returns the story of the shrunk plan of a failed seed.
func (s *campaign) story(seed uint64) string {
	out, err := command(s.t.Context(), s.program, "^TestShrink$", fmt.Sprintf("%s=%d", childShrink, seed)).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return string(out)
}

// stuckAfter is the time limit of a run: thousands of times its normal duration, for busy machines.
const stuckAfter = 15 * time.Minute

// reports runs n seeds in a child, and returns the report of each. After a crash another child runs the rest; the report
// of the seed that crashed has begun only.
func reports(t *testing.T, program string, first, step, n uint64, env ...string) iter.Seq[report] {
	t.Helper()
	return func(yield func(report) bool) {
		for n > 0 {
			seeds := fmt.Sprintf("%s=%d,%d,%d", childSeeds, first, step, n)
			done, again := child(t, program, append([]string{seeds}, env...), yield)
			if !again {
				return
			}
			first, n = first+done*step, n-done
		}
	}
}

// child yields the reports of a child, and returns how many there were. again says that the child did not run all of
// its seeds because it crashed or was stuck.
func child(t *testing.T, program string, env []string, yield func(report) bool) (done uint64, again bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	limit := time.AfterFunc(stuckAfter, cancel)
	defer limit.Stop()
	cmd := command(ctx, program, "^TestChild$", env...)
	out, err := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout
	if err = errors.Join(err, cmd.Start()); err != nil {
		t.Error(err)
		return 0, false
	}
	var r report
	var tail []string // since the last report
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), reportPrefix)
		if !ok {
			tail = append(tail, lines.Text())
			continue
		}
		r, tail = report{}, nil
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("a child said %q: %v", line, err)
		}
		limit.Reset(stuckAfter)
		if r.Begun {
			continue
		}
		done++
		if !yield(r) {
			cancel()
			_ = cmd.Wait() // it was killed
			return done, false
		}
	}
	err = cmd.Wait()
	said := strings.Join(tail[:min(len(tail), 60)], "\n")
	if r.Begun {
		r.Result.Problems = []string{fmt.Sprintf("CRASHED (%v):\n%s", err, said)}
		return done + 1, yield(r)
	}
	if err != nil {
		t.Errorf("a child ended after %d seeds: %v\n%s", done, err, said)
	}
	return done, false
}

// command is a test of this program or a variant as a child, on one processor.
func command(ctx context.Context, program, test string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, "-test.run="+test, "-test.timeout=0") //nolint:gosec // G204: it is itself
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1", "GOGC=400"), env...)     //nolint:forbidigo // as setting
	return cmd
}
