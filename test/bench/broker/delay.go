package main

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"userrelay/test/load/alarm"
)

// delayer delays data that is written to connections, each piece by the same time, however many are in flight. To the
// writer a piece seems to be sent at once: a connection's next request is handled during the delay. A network delays
// data in this way. A broker that waits for its replicas handles one request of a connection at a time, which is worse
// for a client with one connection.
type delayer struct {
	delay  time.Duration
	clock  *alarm.Alarm
	pieces chan piece
	cancel context.CancelFunc
	ended  <-chan struct{}
	wg     sync.WaitGroup
}

type piece struct {
	to   net.Conn
	data []byte
	due  time.Time
}

const maxPieces = 16 << 10 // held back at a time; above that writers wait

func newDelayer(delay time.Duration) (*delayer, error) {
	clock, err := alarm.New()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &delayer{delay: delay, clock: clock, pieces: make(chan piece, maxPieces), cancel: cancel, ended: ctx.Done()}
	d.wg.Go(d.run)
	return d, nil
}

// run sends the pieces. All of them have the same delay, so the first one is always due first, whatever its
// connection.
func (d *delayer) run() {
	for {
		select {
		case p := <-d.pieces:
			if d.clock.Until(p.due) != nil {
				return // closed
			}
			_, _ = p.to.Write(p.data) // the broker hears of a broken connection when it reads
		case <-d.ended:
			return
		}
	}
}

func (d *delayer) close() {
	d.cancel()
	_ = d.clock.Close() // wakes run
	d.wg.Wait()
}

func (d *delayer) write(to net.Conn, data []byte) (int, error) {
	p := piece{to: to, data: bytes.Clone(data), due: time.Now().Add(d.delay)}
	select {
	case d.pieces <- p:
		return len(data), nil
	case <-d.ended:
		return 0, net.ErrClosed
	}
}

// listener delays the answers of its connections.
type listener struct {
	net.Listener
	delayer *delayer
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
	delayer *delayer
}

func (c delayedConn) Write(b []byte) (int, error) { return c.delayer.write(c.Conn, b) }
