package simulation

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// wires connect the machine of a host with the brokers. Faults belong to the wires, so that they also affect a
// restarted handler.
type wires struct {
	w    *world
	host int

	mu        sync.Mutex
	refuse    bool
	silent    map[string]int // addresses without traffic in both directions
	slow      time.Duration
	slowStore time.Duration
	next      string          // fault of some Produce requests: before, middle, after, half
	kill      string          // the step at which the handler is killed
	hostDead  atomic.Bool     // never set: the host ends with its context
	codes     map[int32]int16 // by partition: the codes that replace those for stored records
}

// link connects a life of a handler with the brokers.
type link struct {
	*wires
	name string
	dead atomic.Bool
	die  func() // kills the handler
}

func (l *link) gone() bool { return l.dead.Load() }

// dial is kafka.Config.Dial.
func (l *link) connect(ctx context.Context, at string) error {
	wait := 200*time.Microsecond + time.Duration(l.w.key(l.name, "dial "+at)%300_000)
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		l.mu.Lock()
		refuse, silent := l.refuse, l.silent[at] > 0
		l.mu.Unlock()
		if refuse || l.gone() {
			return refused()
		}
		if !silent {
			return nil
		}
		select {
		case <-time.After(time.Second): // SYN is sent again
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const produceKey = 0

// send returns when data that is written at either end arrives.
func (l *link) send(c *conn, b []byte) (arrives time.Time, held bool, n int, err error) {
	if l.gone() {
		return time.Time{}, false, 0, broken("write")
	}
	at := string(c.remote)
	near := c
	if c.far {
		at, near = string(c.local), c.peer
	}
	n = len(b)
	asked, begins := near.ask(c, b)
	if c.far && asked.key == produceKey {
		n, err = l.answer(near, asked, b)
	} else if begins && asked.key == produceKey {
		n, err = l.ask(near, asked, n)
	}
	l.mu.Lock()
	silent, slow := l.silent[at] > 0, l.slow
	l.mu.Unlock()
	if slow > 0 {
		slow = slow/2 + time.Duration(l.w.hash(l.name, asked.what+"slow"+at)%uint64(slow))
	}
	if c.far && asked.key == produceKey {
		l.mu.Lock()
		slow += l.slowStore
		l.mu.Unlock()
	}
	return time.Now().Add(l.takes(asked, at) + slow), silent, n, err
}

// takes returns the latency of a message. For records it depends on their content, so that two requests sent at the
// same time always arrive in the same order, whichever was sent first. All other requests have the same latency.
func (l *link) takes(asked request, at string) time.Duration {
	if asked.key != produceKey {
		return 200*time.Microsecond + time.Duration(l.w.key(l.name, at)%300_000)
	}
	return 200*time.Microsecond + time.Duration(l.w.hash(l.name, asked.what+at)%2_000_000)
}

// ask decides how many bytes of a Produce request are sent.
func (l *link) ask(near *conn, asked request, n int) (int, error) {
	l.mu.Lock()
	next := l.next
	l.mu.Unlock()
	if l.step("produce-sent") {
		return n, nil
	}
	if next == "" || l.w.hash(l.name, "hit"+asked.what)%2 == 0 {
		return n, nil
	}
	switch next {
	case "before":
		near.peer.reset()
		return 0, broken("write")
	case "middle":
		return n / 2, broken("write")
	case "after":
		near.doomed.Store(true)
	case "half":
		near.halved.Store(true)
	}
	return n, nil
}

// answer decides what happens with the answer to a Produce request.
func (l *link) answer(near *conn, asked request, b []byte) (int, error) {
	if l.step("produce-answered") {
		return 0, broken("write")
	}
	l.mu.Lock()
	if len(l.codes) > 0 {
		recode(b, asked.version, l.codes)
	}
	l.mu.Unlock()
	switch {
	case near.doomed.Load():
		near.reset()
		return 0, broken("write")
	case near.halved.Load():
		return len(b) / 2, broken("write")
	}
	return len(b), nil
}

// step says that the handler is killed at this step.
func (l *link) step(name string) bool {
	l.mu.Lock()
	hit := l.kill == name
	if hit {
		l.kill = ""
	}
	l.mu.Unlock()
	if hit && !l.dead.Swap(true) {
		l.w.logf("%s dies at %s", l.name, name)
		l.w.wg.Go(l.die)
	}
	return hit
}

// ask returns the request in flight on a connection with the near end c, and whether it begins with the data that an
// end writes now.
func (c *conn) ask(by *conn, b []byte) (asked request, begins bool) {
	c.deadline.mu.Lock()
	defer c.deadline.mu.Unlock()
	if by == c {
		c.asked.see(b, func(r request) { begins = true })
		c.asked.last.what += traces(b)
	}
	return c.asked.last, begins
}

// traces returns the traces of the records in a request.
func traces(b []byte) string {
	var sum [32]byte
	found := false
	for {
		_, after, ok := bytes.Cut(b, []byte("traceparent"))
		if !ok || len(after) < 40 {
			break
		}
		for i, x := range after[5:37] { // two lengths and the version are before it
			sum[i] = sum[i]*31 + x
		}
		b, found = after, true
	}
	if !found {
		return ""
	}
	return string(sum[:])
}

// silence begins or ends a silence with some addresses. If lost is set the connections do not survive it.
func (x *wires) silence(addresses []string, begin, lost bool) {
	x.mu.Lock()
	for _, at := range addresses {
		if begin {
			x.silent[at]++
		} else {
			x.silent[at]--
		}
	}
	x.mu.Unlock()
	if begin {
		return
	}
	x.w.net.each(func(c *conn) {
		l, ok := c.path.(*link)
		if !ok || l.wires != x {
			return
		}
		x.mu.Lock()
		still := x.silent[string(c.remote)] > 0
		x.mu.Unlock()
		if still {
			return
		}
		if lost {
			c.in.drop()
			c.out.drop()
			c.reset()
			c.peer.reset()
			return
		}
		asked, _ := c.ask(c.peer, nil)
		at := time.Now().Add(l.takes(asked, string(c.remote)))
		c.out.release(at)
		c.in.release(at)
	})
}

// each calls the function for each open connection.
func (n *network) each(f func(*conn)) {
	n.mu.Lock()
	all := slices.Clone(n.conns)
	n.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

// plainPath has only a latency.
type plainPath struct {
	w    *world
	name string
	dead *atomic.Bool // of the process at the near end; nil: it lives
}

func (p *plainPath) gone() bool { return p.dead != nil && p.dead.Load() }

func (p *plainPath) connect(context.Context, string) error {
	if p.gone() {
		return refused()
	}
	return nil
}

func (p *plainPath) send(_ *conn, b []byte) (arrives time.Time, held bool, n int, err error) {
	if p.gone() {
		return time.Time{}, false, 0, broken("write")
	}
	return time.Now().Add(50 * time.Microsecond), false, len(b), nil
}
