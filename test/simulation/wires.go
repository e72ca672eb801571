package simulation

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// wires connect the machine of a host with the brokers and the queue. Faults belong to the wires, so that they also
// affect a restarted handler.
type wires struct {
	w     *world
	clock clock // of the machine

	mu        sync.Mutex
	refuse    bool           // of connections to brokers
	silent    map[string]int // addresses without traffic in both directions
	slow      time.Duration
	slowStore time.Duration
	next      Kind    // fault of some Produce requests: NextBefore to NextHalf
	kill      string  // the step at which the handler is killed
	codes     []int16 // by partition: what the answers say where records are stored, if it is not 0
	queue     Kind    // fault of the requests to the queue
}

// process is a handler, or the host itself.
type process struct {
	*wires
	name string
	dead atomic.Bool
	die  func() // kills it at a step of its work; nil: a host, which works at none
}

// gone says that the process has been killed. The nil process lives as long as the run.
func (p *process) gone() bool { return p != nil && p.dead.Load() }

// step says that the handler is killed at this step.
func (p *process) step(name string) bool {
	if p.die == nil {
		return false
	}
	p.mu.Lock()
	hit := p.kill == name
	if hit {
		p.kill = ""
	}
	p.mu.Unlock()
	if hit && !p.dead.Swap(true) {
		p.w.logf("%s dies at %s", p.name, name)
		p.w.wg.Go(p.die)
	}
	return hit
}

// plainLatency is of data on a route that has no faults.
const plainLatency = 50 * time.Microsecond

// connect waits for the time of connecting, and returns an error if that fails.
func (r route) connect(ctx context.Context, at string) error {
	if !r.kafka {
		if r.from.gone() {
			return refused()
		}
		return nil
	}
	pause := r.from.steadyLatency("dial " + at)
	for {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		r.from.mu.Lock()
		refuse, silent := r.from.refuse, r.from.silent[at] > 0
		r.from.mu.Unlock()
		if refuse || r.from.gone() {
			return refused()
		}
		if !silent {
			return nil
		}
		pause = time.Second // SYN is sent again
	}
}

// send returns when data that is written now arrives, or that it is held until some time after the stream's release.
// An error breaks the connection after n bytes have been sent.
func (c *conn) send(b []byte) (arrives time.Time, held bool, n int, err error) {
	p := c.from
	if p.gone() {
		return time.Time{}, false, 0, broken("write")
	}
	if !c.kafka {
		return time.Now().Add(plainLatency), false, len(b), nil
	}
	near, written := c, b
	if c.far {
		near, written = c.peer, nil
	}
	asked, begins := near.ask(written)
	n, at, produce := len(b), string(c.at), asked.key == produceKey
	switch {
	case c.far && produce:
		n, err = near.answer(asked, b)
	case begins && produce:
		n, err = near.produce(asked, n)
	}
	p.mu.Lock()
	silent, slow, slowStore := p.silent[at] > 0, p.slow, p.slowStore
	p.mu.Unlock()
	if slow > 0 {
		slow = slow/2 + time.Duration(p.w.hash(p.name, asked.what+"slow"+at)%uint64(slow))
	}
	if c.far && produce {
		slow += slowStore
	}
	return time.Now().Add(p.latency(asked, at) + slow), silent, n, err
}

// latency returns the latency of a message. For records it depends on their content, so that two requests sent at the
// same time always arrive in the same order, whichever was sent first. All other requests have the same latency.
func (p *process) latency(asked request, at string) time.Duration {
	if asked.key != produceKey {
		return p.steadyLatency(at)
	}
	return 200*time.Microsecond + time.Duration(p.w.hash(p.name, asked.what+at)%2_000_000)
}

func (p *process) steadyLatency(of string) time.Duration {
	return 200*time.Microsecond + time.Duration(p.w.key(p.name, of)%300_000)
}

// ask returns the request in flight on a connection, and whether it begins with the data that the near end writes now.
func (c *conn) ask(written []byte) (asked request, begins bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begins = c.asked.see(written)
	return c.asked.last, begins
}

// produce decides how many of the n bytes of a Produce request are sent.
func (c *conn) produce(asked request, n int) (int, error) {
	p := c.from
	p.mu.Lock()
	next := p.next
	p.mu.Unlock()
	if p.step("produce-sent") || next == "" || p.w.hash(p.name, "hit"+asked.what)%2 == 0 {
		return n, nil
	}
	switch next {
	case NextBefore:
		c.peer.reset()
		return 0, broken("write")
	case NextMiddle:
		return n / 2, broken("write")
	default:
		c.mu.Lock()
		c.fate = next
		c.mu.Unlock()
		return n, nil
	}
}

// answer decides how much of the answer to a Produce request arrives.
func (c *conn) answer(asked request, b []byte) (int, error) {
	p := c.from
	if p.step("produce-answered") {
		return 0, broken("write")
	}
	p.mu.Lock()
	recode(b, asked.version, p.codes)
	p.mu.Unlock()
	c.mu.Lock()
	fate := c.fate
	c.mu.Unlock()
	switch fate {
	case NextAfter:
		c.reset()
		return 0, broken("write")
	case NextHalf:
		return len(b) / 2, broken("write")
	default:
		return len(b), nil
	}
}

// silence begins a silence with some addresses. If lost is set the connections do not survive its end.
func (x *wires) silence(addresses []string, lost bool) (end func()) {
	change := func(by int) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, at := range addresses {
			x.silent[at] += by
		}
	}
	change(1)
	return func() {
		change(-1)
		for _, c := range x.w.net.open() {
			if c.kafka && c.from.wires == x {
				x.resume(c, lost)
			}
		}
	}
}

// resume ends the silence on a connection, unless there is another one.
func (x *wires) resume(c *conn, lost bool) {
	x.mu.Lock()
	still := x.silent[string(c.at)] > 0
	x.mu.Unlock()
	switch {
	case still:
	case lost:
		c.in.drop()
		c.out.drop()
		c.reset()
		c.peer.reset()
	default:
		asked, _ := c.ask(nil)
		at := time.Now().Add(c.from.latency(asked, string(c.at)))
		c.out.release(at)
		c.in.release(at)
	}
}
