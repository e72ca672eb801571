// Bench compares the handler with other implementations: with the same load and the same broker, one after the other
// in every round. It writes docs/benchmarks.md, which describes the method.
//
//	go run ./test/bench                     all of it, some 10 minutes
//	go run ./test/bench -pgo default.pgo    a profile for the compiler, and no figures
//	go run ./test/bench -quick              does everything run, and do the counts agree? No page, no figures worth reading
//
// KAFKA_HOME names an unpacked Apache Kafka 4.x; without it (or without Java 17) that stage is left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"userrelay/handler/parent"
	"userrelay/test/bench/report"
	"userrelay/test/machine"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	kafkaHome := os.Getenv("KAFKA_HOME") //nolint:forbidigo // the one place where settings come from
	if err := run(ctx, os.Args[1:], kafkaHome, os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

// options are the values of the flags, and what follows from them.
type options struct {
	quick          bool
	rounds         int
	each           time.Duration // of a measurement in a closed loop
	out            string        // file for the page; empty: none
	pgo            string        // where a profile is to go; "": none is made
	only           string        // stages; "": all
	against        string        // another build of the handler; "": none
	starts         int           // rounds of the cold start
	callers, rates []report.Load
	build          []string // flags
	settings       []string // of the handler, besides those that name the broker
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{
		starts: 15, callers: []report.Load{{Callers: 1}, {Callers: 16}, {Callers: 64}, {Callers: 256}},
		rates: []report.Load{{Rate: 200}, {Rate: 1000}, {Rate: 4000}}, build: []string{"-trimpath", "-ldflags=-s -w"}, // as the handler is shipped
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.quick, "quick", false, "only see that everything runs and the counts agree; writes a page only where -out is given")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; with Apache Kafka, whose figures vary more, twice as many")
	flags.DurationVar(&o.each, "d", time.Second, "length of a measurement; with a rate, where answers are few, twice as long")
	flags.StringVar(&o.out, "out", filepath.Join("docs", "benchmarks.md"), "`file` for the page; empty: none")
	flags.StringVar(&o.against, "against", "", "measure another build of the handler beside it, this `program`")
	flags.StringVar(&o.only, "only", "", "stages, with commas between them: in-process, delayed, apache, cold; empty: all")
	flags.StringVar(&o.pgo, "pgo", "", "only write a processor profile of the handler under load to this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.each <= 0 {
		return o, errors.New("bench takes no arguments but flags, and at least one round of some length; see -help")
	}
	if !o.quick {
		return o, nil
	}
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == "out" })
	if !given {
		o.out = ""
	}
	// The figures do not matter, and the machine may be busy: the longest timeout for Kafka that the settings allow, and
	// the flags for which Go's cache has the packages.
	o.rounds, o.starts, o.each, o.build = 1, 1, 100*time.Millisecond, nil
	o.callers, o.rates = []report.Load{{Callers: 8}}, []report.Load{{Rate: 200}}
	o.settings = []string{"KAFKA_TIMEOUT=3900ms", "OUTBOX_TIMEOUT=100ms"}
	return o, nil
}

// quietLoad is the largest load average (1 minute) before a benchmark whose figures are published.
const quietLoad = 0.5

// run is the whole program. Progress goes to stdout, a line for each measurement.
func run(ctx context.Context, args []string, kafkaHome string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.out != "" && o.pgo == "" && !o.quick && machine.Load() > quietLoad {
		return fmt.Errorf("the machine's load is %.2f, and figures for a page need one below %.1f: wait until nothing else runs, or write none with -out ''", machine.Load(), quietLoad)
	}
	b := &bench{options: o, kafkaHome: kafkaHome, progress: stdout}
	if b.dir, err = os.MkdirTemp("", "userrelay-bench-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.pgo != "" {
		return b.profile(ctx)
	}
	result, err := b.measure(ctx)
	if err != nil {
		return err
	}
	result.Command = strings.Join(append([]string{"go run ./test/bench"}, args...), " ")
	if b.out != "" { // with what went wrong in a stage
		err = result.Page().Update(b.out, "make bench")
	}
	return errors.Join(err, result.Check())
}

// bench is a run of the benchmark.
type bench struct {
	options
	handlerArgs []string
	kafkaHome   string // "" where there is none
	dir         string // of the programs
	progress    io.Writer
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...) // a run must not fail because of the progress output
}

// program returns the path of a program that was built.
func (b *bench) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(b.dir, name)
}

// goTool runs a go command that builds programs into the folder.
func (b *bench) goTool(ctx context.Context, args ...string) error {
	b.say("go %s", strings.Join(args, " "))
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil { //nolint:gosec // G204: our own programs
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// measure builds all programs besides the load generator, and runs all stages.
func (b *bench) measure(ctx context.Context) (*report.Run, error) {
	programs := []string{"-o", b.dir + string(filepath.Separator), "userrelay/handler", "userrelay/test/bench/relay", "userrelay/test/bench/broker"}
	if err := b.goTool(ctx, slices.Concat([]string{"build"}, b.build, programs)...); err != nil {
		return nil, err
	}
	result := &report.Run{Date: time.Now(), Machine: machine.Words()}
	var err error
	if result.Versions, err = machine.Versions(b.kafkaHome, b.program("relay"), b.program("broker")); err != nil {
		return nil, err
	}
	handler, err := os.Stat(b.program("handler"))
	if err != nil {
		return nil, fmt.Errorf("look at the handler: %w", err)
	}
	result.Binary = handler.Size()
	for _, s := range b.stages() {
		if err := s.run(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Title, err)
		}
		result.Stages = append(result.Stages, s.Stage)
	}
	return result, nil
}
