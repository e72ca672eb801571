// Queue is the stand-in for the Storage queue in a separate process, so that a drill can kill or halt it. It prints
// the connection string, and ends with its parent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"userrelay/handler/parent"
	"userrelay/local/storagequeue"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "queue: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("queue", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "`host:port` to listen on")
	dir := flags.String("dir", "", "`folder` for the messages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || flags.NArg() > 0 {
		return errors.New("-dir is missing, or there are arguments besides flags")
	}
	s, err := storagequeue.Start(storagequeue.Config{Addr: *addr, Dir: *dir}) //nolint:contextcheck // it is closed in order
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, s.ConnectionString())
	<-ctx.Done()
	return s.Close()
}
