// Drill causes failures of the handler and of its dependencies, and counts the outcomes of registrations. It prints the
// figures, and writes docs/reliability.md, which describes each drill.
//
//	KAFKA_HOME=… go run ./test/drill               all of it, a quarter of an hour
//	KAFKA_HOME=… go run ./test/drill -short        some of it, in seconds: counts only. No page
//	KAFKA_HOME=… go run ./test/drill -only=outage  one of them, or several with commas between them. No page
//	KAFKA_HOME=… go run ./test/drill -soak=30m     with a steady load of that length at the end
//
// It returns an error if a limit is missed, or if a control that must fail does not. KAFKA_HOME names an unpacked
// Apache Kafka 4.x. It needs Java 17, and signals that halt a process: not on Windows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"userrelay/handler/parent"
	"userrelay/test/drill/report"
	"userrelay/test/machine"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	kafkaHome := os.Getenv("KAFKA_HOME") //nolint:forbidigo // the one place where settings come from
	if err := run(ctx, os.Args[1:], ".", kafkaHome, os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "drill: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

// options are the values of the flags.
type options struct {
	short     bool
	only      []string
	soak      time.Duration
	kafkaHome string
	root      string // the project's folder
}

// drill is a kind of failure.
type drill struct {
	name  string
	about string
	run   func(context.Context, *stand, *report.Row) error
	short bool   // also in the short form
	nodes int    // brokers of its own; 0: the rig's only one
	relay string // kind of the reference relay in the handler's place; "": the handler
}

// drills returns all drills in order.
func drills() []drill {
	return []drill{
		{name: "broker-killed", run: brokerKilled, about: "The only broker is killed and started again, several times, under the load of 32 callers."},
		{name: "handler-killed", run: handlerKilled, about: "The handler is killed, several times, under the load of 32 callers. The host answers 500 for what it had in progress, and starts it again; requests wait meanwhile."},
		{name: "both-killed", run: bothKilled, short: true, about: "Broker and handler are killed at the same moment, several times, under the load of 32 callers."},
		{name: "control", run: control, short: true, relay: "careless", about: "Drill 3, with a relay in the handler's place that does not wait for Kafka (`kafka.Writer`, acks=0). It must lose records."},
		{name: "outage", run: outage, about: "The only broker is killed and stays away for 60 s, with 200 requests a second all the time (open loop: sent when due, whether earlier ones are answered or not)."},
		{name: "halted", run: halted, short: true, about: "The only broker is halted for 10 s (SIGSTOP) under the load of 32 callers: its connections stay open, and it answers late."},
		{name: "leader-killed", run: leaderKilled, nodes: 3, about: "Three brokers with Kafka's default session timeout of 9 s. The leader of a partition is killed under load and started again, twice."},
		{name: "all-down", run: allDown, short: true, about: "Kafka and the queue are both halted (SIGSTOP), and then both gone, under the load of 32 callers. Nothing can be stored, and nobody may be told that it was."},
		{name: "soak", run: soak, about: "A steady load of 500 requests a second."},
	}
}

// wanted returns the drills that the options request.
func (o options) wanted() []drill {
	return slices.DeleteFunc(drills(), func(d drill) bool {
		switch {
		case o.only != nil:
			return !slices.Contains(o.only, d.name)
		case d.name == "soak":
			return o.soak == 0
		default:
			return o.short && !d.short
		}
	})
}

// plan has the lengths and numbers of a run.
type plan struct {
	callers int
	events  int           // answered 2xx, of the drill that kills the broker, at least
	kills   int           // of each kind, at least
	between time.Duration // two kills
	drain   time.Duration // within which the outbox must be empty
	before  time.Duration // before and after an outage
	outage  time.Duration // of the broker, killed
	halt    time.Duration // of the broker, halted, and of everything
}

func planOf(short bool) plan {
	if short {
		return plan{
			callers: 8, events: 1, kills: 1, between: 500 * time.Millisecond, drain: 2 * time.Minute,
			before: time.Second, outage: 3 * time.Second, halt: 3 * time.Second,
		}
	}
	return plan{
		callers: 32, events: 100_000, kills: 4, between: 3 * time.Second, drain: 5 * time.Minute,
		before: 5 * time.Second, outage: time.Minute, halt: 10 * time.Second,
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("drill", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.short, "short", false, "some of them in some seconds each: counts only, no times, no page")
	flags.Func("only", "run these `drills` of docs/reliability.md, with commas between them", func(s string) error {
		o.only = strings.Split(s, ",")
		for _, name := range o.only {
			if !slices.ContainsFunc(drills(), func(d drill) bool { return d.name == name }) {
				return fmt.Errorf("no drill is called %q", name)
			}
		}
		return nil
	})
	flags.DurationVar(&o.soak, "soak", 0, "with a steady load of this length at the end")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0 || o.soak < 0:
		return o, errors.New("drill takes no arguments but flags; see -help")
	case o.soak == 0 && slices.Contains(o.only, "soak"):
		return o, errors.New("how long the soak takes must be said: -soak=30m")
	}
	return o, nil
}

// run is the whole program. Progress goes to stdout, what hosts and handlers print to stderr.
func run(ctx context.Context, args []string, root, kafkaHome string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	o.root, o.kafkaHome = root, kafkaHome
	switch {
	case kafkaHome == "":
		return errors.New("KAFKA_HOME must name an unpacked Apache Kafka 4; see CONTRIBUTING.md")
	case runtime.GOOS == "windows":
		return errors.New("windows has no signals that halt a process")
	}
	if _, err := os.Stat(filepath.Join(root, "host.json")); err != nil {
		return errors.New("run it in the project's folder, the one with host.json: go run ./test/drill")
	}
	r := &rig{options: o, plan: planOf(o.short), progress: stdout, output: stderr, began: time.Now()}
	result, err := r.run(ctx)
	if err != nil {
		return err
	}
	result.Command = strings.Join(append([]string{"go run ./test/drill"}, args...), " ")
	if !o.short && o.only == nil { // with what was missed
		err = result.Page().Update(filepath.Join("docs", "reliability.md"), "make drill")
	}
	return errors.Join(err, result.Check())
}

// drillAll runs the requested drills one after the other.
func (r *rig) drillAll(ctx context.Context) (*report.Run, error) {
	result := &report.Run{Date: r.began, Machine: machine.Words()}
	var err error
	if result.Versions, err = machine.Versions(r.kafkaHome, r.program("handler")); err != nil {
		return nil, err
	}
	for i, d := range r.wanted() {
		row := &report.Row{Name: fmt.Sprintf("%d. %s", i+1, d.name), About: d.about, Short: r.short}
		r.say("%s", row.Name)
		row.Err = r.drill(ctx, d, row)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		result.Rows = append(result.Rows, row)
		_, _ = fmt.Fprintf(r.progress, "\n%s\n", row) // a run must not fail because of the progress output
	}
	result.Took = time.Since(r.began)
	return result, nil
}
