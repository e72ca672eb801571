package freeport_test

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"userrelay/local/freeport"
)

// TestNothingListensAfterFind starts processes meanwhile: each has a copy of all sockets from its fork to its exec.
func TestNothingListensAfterFind(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	var starters sync.WaitGroup
	defer starters.Wait()
	defer close(done)
	for range 2 {
		starters.Go(func() {
			for {
				select {
				case <-done:
					return
				default: // the exec fails, which is enough
					_, _ = os.StartProcess(t.Name()+".missing", []string{""}, &os.ProcAttr{})
				}
			}
		})
	}
	for range 300 {
		port, err := freeport.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
			t.Fatalf("port %d: a connection was accepted, want none", port)
		}
	}
}
