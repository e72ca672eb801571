// Queue is the stand-in for the Storage queue in a separate process, so that a drill can kill or halt it. It prints
// the connection string, and ends with its parent.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"userrelay/handler/parent"
	"userrelay/local/storagequeue"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	addr := flag.String("addr", "127.0.0.1:0", "`host:port` to listen on")
	dir := flag.String("dir", "", "`folder` for the messages")
	flag.Parse()
	if err := run(ctx, storagequeue.Config{Addr: *addr, Dir: *dir}); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "queue: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, c storagequeue.Config) error {
	s, err := storagequeue.Start(c) //nolint:contextcheck // it is closed in order
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stdout, s.ConnectionString())
	<-ctx.Done()
	return s.Close()
}
