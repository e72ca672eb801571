// Local runs all of it on this machine, with nothing but Go: a Kafka broker in this process, an endpoint that takes the
// telemetry and can be searched, and a stand-in of the Functions host that starts the handler. Nothing leaves the
// machine.
//
//	go run ./local
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"userrelay/handler/parent"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// options are what the flags say.
type options struct {
	port     int      // of the function; 0 takes a free one
	pagePort int      // of the page and the telemetry endpoint; 0 takes a free one
	ready    string   // file to write when all of it answers
	data     string   // folder that keeps the topic and the outbox between runs
	kafka    string   // a broker of the user's own, host:port, or apacheName
	topic    string   // of Kafka
	azurite  bool     // and not the stand-in of the queues
	noHost   bool     // neither host nor handler
	extra    []string // settings, NAME=VALUE
	env      []string // environment of this process
}

func run(args, env []string, stdout, stderr io.Writer) int {
	o := options{env: env}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.port, "port", 7071, "port of the function, as func has it; 0 takes a free one")
	flags.IntVar(&o.pagePort, "page", 0, "port of the page; 0 takes a free one")
	flags.StringVar(&o.ready, "ready", "", "write the addresses to this `file` as JSON when all of it answers")
	flags.StringVar(&o.data, "data", "", "keep the topic and the outbox in this `folder` between runs")
	flags.StringVar(&o.kafka, "kafka", "", "use the broker at this `host:port` instead of one of its own, or \"apache\": a real one from KAFKA_HOME, which needs Java")
	flags.StringVar(&o.topic, "topic", "user-events", "Kafka topic")
	flags.BoolVar(&o.azurite, "azurite", false, "keep the outbox in Azurite, which has blobs for func start, too; needs Node.js and npm ci --prefix test/azurite")
	flags.BoolVar(&o.noHost, "no-host", false, "start neither host nor handler, and print the settings for func start")
	flags.Func("env", "one more setting for the handler, `NAME=VALUE`; may be repeated", func(s string) error {
		if name, _, ok := strings.Cut(s, "="); !ok || name == "" {
			return errors.New("must be NAME=VALUE")
		}
		o.extra = append(o.extra, s)
		return nil
	})
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		_, _ = fmt.Fprintln(stderr, "local takes no arguments but flags; see go run ./local -help")
		return 2
	}

	ctx, stop := parent.Context()
	defer stop()
	if err := runStack(ctx, o, stdout); err != nil {
		_, _ = fmt.Fprintf(stderr, "local: %v\n", err)
		return 1
	}
	return 0
}
