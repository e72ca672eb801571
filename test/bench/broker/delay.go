package main

import (
	"bytes"
	"context"
	"net"
	"time"

	"userrelay/test/load/alarm"
)

// delayer delays data that is written to connections, each piece by the same time, however many are in flight. To the
// writer a piece seems to be sent at once: a connection's next request is handled during the delay. A network delays
// data in this way. A broker that waits for its replicas handles one request of a connection at a time, which is worse
// for a client with one connection.
type delayer struct {
	delay  time.Duration
	pieces chan piece
	ended  <-chan struct{}
}

type piece struct {
	to   net.Conn
	data []byte
	due  time.Time
}

const maxPieces = 16 << 10 // held back at a time; above that writers wait

// newDelayer returns a delayer that works until ctx ends.
func newDelayer(ctx context.Context, delay time.Duration) (*delayer, error) {
	until, err := alarm.New(ctx)
	if err != nil {
		return nil, err
	}
	d := &delayer{delay: delay, pieces: make(chan piece, maxPieces), ended: ctx.Done()}
	go d.run(until)
	return d, nil
}

// run sends the pieces. All of them have the same delay, so the first one is always due first, whatever its
// connection.
func (d *delayer) run(until alarm.Until) {
	for {
		select {
		case p := <-d.pieces:
			if until(p.due) != nil {
				return // ended
			}
			_, _ = p.to.Write(p.data) // the broker hears of a broken connection when it reads
		case <-d.ended:
			return
		}
	}
}

// listener delays the answers of its connections.
type listener struct {
	net.Listener
	*delayer
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return delayedConn{c, l.delayer}, nil
}

type delayedConn struct {
	net.Conn
	*delayer
}

func (c delayedConn) Write(b []byte) (int, error) {
	p := piece{to: c.Conn, data: bytes.Clone(b), due: time.Now().Add(c.delay)}
	select {
	case c.pieces <- p:
		return len(b), nil
	case <-c.ended:
		return 0, net.ErrClosed
	}
}
