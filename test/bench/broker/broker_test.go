package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startBroker runs the program until the test ends, and returns its address.
func startBroker(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, in, t.Output())
		_ = in.CloseWithError(io.EOF)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the broker ended: %v", err)
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("where does it listen: %v", err)
	}
	return strings.TrimSpace(addr)
}

func client(t *testing.T, addr string) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DisableClientMetrics(), kgo.ProducerLinger(0), kgo.DefaultProduceTopic("b"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestStoresAtOnce(t *testing.T) {
	t.Parallel()
	c := client(t, startBroker(t, "-topics", "a,b", "-partitions", "2"))
	ctx := wait.Context(t)
	if err := c.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := c.PartitionLeader("b", 1); n < 0 || err != nil {
		t.Errorf("partition 1 of topic b has leader %d: %v", n, err)
	}
}

func TestAnswersLate(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	c := client(t, startBroker(t, "-topics", "b", "-delay", delay.String()))
	ctx := wait.Context(t)
	for range 2 { // the second has nothing to look up
		start := time.Now()
		if err := c.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < delay {
			t.Errorf("answered after %v, want at least %v", d, delay)
		}
	}
}

func closeLater(t *testing.T, c io.Closer) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestDelaysAtOnce writes to many connections concurrently: sequentially they would take longer than the test waits.
func TestDelaysAtOnce(t *testing.T) {
	t.Parallel()
	const (
		conns = 200
		delay = wait.Patience / 150
	)
	d, err := newDelayer(delay)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listener{inner, d}
	closeLater(t, l)
	var clients, servers [conns]net.Conn
	for i := range conns {
		if clients[i], err = (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		closeLater(t, clients[i])
		if servers[i], err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		closeLater(t, servers[i])
	}
	start := time.Now()
	for _, s := range servers {
		text := []byte("late")
		if _, err := s.Write(text); err != nil {
			t.Fatal(err)
		}
		copy(text, "used") // a writer may use its memory again
	}
	for _, c := range clients {
		if err := c.SetReadDeadline(start.Add(wait.Patience)); err != nil {
			t.Fatal(err)
		}
		var text [4]byte
		if _, err := io.ReadFull(c, text[:]); err != nil {
			t.Fatalf("one waits for the other: %v", err)
		}
		if took := time.Since(start); string(text[:]) != "late" || took < delay {
			t.Fatalf("%q after %v, want %q after %v at least", text, took, "late", delay)
		}
	}
}

func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	t.Parallel()
	d, err := newDelayer(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	closeLater(t, a)
	closeLater(t, b)
	for range 3 {
		if _, err := d.write(a, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	d.close() // returns, though there is an hour to wait
	for range maxPieces {
		if _, err = d.write(a, []byte("x")); err != nil {
			break
		}
	}
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing goes on: %v", err)
	}
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-delay", "soon"}, io.Discard, t.Output()); err == nil {
		t.Error("it ran")
	}
}
