package main

import (
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDelaysAtOnce writes to many connections concurrently: sequentially they would take longer than the test waits.
// A piece that is held back for an hour does not outlive the end: goleak would find what waits for it.
func TestDelaysAtOnce(t *testing.T) {
	t.Parallel()
	const (
		conns = 200
		delay = wait.Patience / 150
	)
	d, err := newDelayer(t.Context(), delay)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var clients [conns]net.Conn
	text := []byte("late")
	for i := range clients {
		client, server := net.Pipe()
		defer func() { _, _ = client.Close(), server.Close() }()
		clients[i] = client
		if _, err := (delayedConn{server, d}).Write(text); err != nil {
			t.Fatal(err)
		}
	}
	copy(text, "used") // a writer may use its memory again
	for _, c := range clients {
		if err := c.SetReadDeadline(start.Add(wait.Patience)); err != nil {
			t.Fatal(err)
		}
		var got [4]byte
		if _, err := io.ReadFull(c, got[:]); err != nil {
			t.Fatalf("one waits for the other: %v", err)
		}
		if took := time.Since(start); string(got[:]) != "late" || took < delay {
			t.Fatalf("%q after %v, want %q after %v at least", got, took, "late", delay)
		}
	}
	d.delay = time.Hour
	if _, err := (delayedConn{clients[0], d}).Write(text); err != nil {
		t.Fatal(err)
	}
}
