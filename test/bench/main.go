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
	"path/filepath"
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

// options are the values of the flags.
type options struct {
	quick     bool
	rounds    int
	each      time.Duration
	out       string // file for the page; empty: none
	pgo       string // where a profile is to go; "": none is made
	kafkaHome string
	against   string
	only      string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
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
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == "out" })
	if o.quick && !given {
		o.out = ""
	}
	return o, nil
}

// quietLoad is the largest load average (1 minute) before a benchmark whose figures are published.
const quietLoad = 0.5

// run is the whole program. Progress goes to stdout, a line for each measurement.
func run(ctx context.Context, args []string, kafkaHome string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	o.kafkaHome = kafkaHome
	if o.out != "" && o.pgo == "" && !o.quick && machine.Load() > quietLoad {
		return fmt.Errorf("the machine's load is %.2f, and figures for a page need one below %.1f: wait until nothing else runs, or write none with -out ''", machine.Load(), quietLoad)
	}
	dir, err := os.MkdirTemp("", "userrelay-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if o.pgo != "" {
		return errors.Join(profile(ctx, o, dir, stdout), os.RemoveAll(dir))
	}
	result, err := measure(ctx, o, dir, stdout)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	result.Command = strings.Join(append([]string{"go run ./test/bench"}, args...), " ")
	if o.out != "" { // with what went wrong in a stage
		err = result.Page().Update(o.out, "make bench")
	}
	return errors.Join(err, result.Check())
}

// measure builds the programs into dir and runs all stages.
func measure(ctx context.Context, o options, dir string, progress io.Writer) (*report.Run, error) {
	b := &bench{plan: full(o), dir: dir, kafkaHome: o.kafkaHome, against: o.against, progress: progress}
	if o.quick {
		b.plan = quick()
	}
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	result := &report.Run{Date: time.Now(), Machine: machine.Words()}
	var err error
	if result.Versions, err = machine.Versions(o.kafkaHome, b.program("relay"), b.program("broker")); err != nil {
		return nil, err
	}
	handler, err := os.Stat(b.program("handler"))
	if err != nil {
		return nil, fmt.Errorf("look at the handler: %w", err)
	}
	result.Binary = handler.Size()
	for _, s := range b.stages() {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), string(s.ID)) {
			continue
		}
		st, err := s.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st.Title, err)
		}
		result.Stages = append(result.Stages, st)
	}
	return result, nil
}
