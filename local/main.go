// Local runs the whole system on this machine, with only Go installed: a Kafka broker in this process, a telemetry
// endpoint with a search, and a stand-in for the Functions host that starts the handler. Nothing leaves the machine.
//
//	go run ./local
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"userrelay/handler/parent"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

func run(args, env []string, stdout, stderr io.Writer) int {
	ctx, stop := parent.Context()
	defer stop()
	o, err := readOptions(args, env, stdout)
	if err == nil {
		err = o.check(ctx)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "local: %v\n", err)
		return 2
	}
	err = runStack(ctx, o, stdout)
	if err != nil && !interrupted(ctx, err) {
		_, _ = fmt.Fprintf(stderr, "local: %v\n", err)
		return 1
	}
	return 0
}
