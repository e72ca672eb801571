// Queue is the stand-in for the Storage queue in a separate process, so that a drill can kill or halt it. It prints
// the connection string, and ends with its parent.
package main

import (
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
	s, err := storagequeue.Start(storagequeue.Config{Addr: *addr, Dir: *dir})
	if err == nil {
		_, _ = fmt.Fprintln(os.Stdout, s.ConnectionString())
		<-ctx.Done()
		err = s.Close()
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "queue: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}
