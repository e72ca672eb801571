package faultproxy_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// requestHead and answerHead begin Kafka's requests and answers. Size counts what follows it.
type requestHead struct {
	Size         int32
	Key, Version int16
	ID           int32
}

type answerHead struct {
	Size, ID int32
}

func encode(head any) []byte {
	b, err := binary.Append(nil, binary.BigEndian, head)
	if err != nil {
		panic(err) // a struct of integers
	}
	return b
}

// target answers every request in Kafka's framing with its correlation id and a body, and records the requests.
type target struct {
	addr string
	body []byte

	mu    sync.Mutex
	heard []int32
}

func newTarget(t *testing.T, body string) *target {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{addr: l.Addr().String(), body: []byte(body)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { tg.serve(conn) })
		}
	})
	t.Cleanup(func() { // after the proxy's: by then no connection is left
		_ = l.Close()
		wg.Wait()
	})
	return tg
}

func (tg *target) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var req requestHead
		if err := binary.Read(conn, binary.BigEndian, &req); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(req.Size)-8); err != nil {
			return
		}
		tg.mu.Lock()
		tg.heard = append(tg.heard, req.ID)
		tg.mu.Unlock()
		answer := encode(answerHead{Size: int32(4 + len(tg.body)), ID: req.ID})
		if _, err := conn.Write(append(answer, tg.body...)); err != nil {
			return
		}
	}
}

func (tg *target) requests() []int32 {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return append([]int32{}, tg.heard...)
}

// client sends Kafka's framing to a proxy.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, p *faultproxy.Proxy) *client {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(wait.Patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func (c *client) send(key int16, id int32) {
	c.t.Helper()
	req := encode(requestHead{Size: 8 + 5, Key: key, ID: id})
	if _, err := c.conn.Write(append(req, "hello"...)); err != nil {
		c.t.Fatalf("send request %d: %v", id, err)
	}
}

func (c *client) receive() (id int32, body string, err error) {
	var head answerHead
	if err := binary.Read(c.r, binary.BigEndian, &head); err != nil {
		return 0, "", err
	}
	b := make([]byte, head.Size-4)
	_, err = io.ReadFull(c.r, b)
	return head.ID, string(b), err
}

// ask is send and receive, and fails unless the right answer comes.
func (c *client) ask(key int16, id int32) {
	c.t.Helper()
	c.send(key, id)
	if got, _, err := c.receive(); err != nil || got != id {
		c.t.Fatalf("answer to request %d: got the answer to %d and error %v", id, got, err)
	}
}

// wantEnd fails unless the connection ends without another answer.
func (c *client) wantEnd() {
	c.t.Helper()
	id, _, err := c.receive()
	if nerr := net.Error(nil); err == nil || errors.As(err, &nerr) && nerr.Timeout() {
		c.t.Fatalf("got an answer to %d and error %v, want the end of the connection", id, err)
	}
}

func set(t *testing.T, p *faultproxy.Proxy, f faultproxy.Faults) {
	t.Helper()
	if err := p.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}
