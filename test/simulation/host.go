package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// host is a machine with a Functions host, which starts the handler, passes it requests and messages, and restarts it
// after a crash (local/funchost is a complete stand-in).
type host struct {
	w      *world
	index  int
	front  bool // takes registrations
	drains bool
	wires  *wires
	queue  *queueWires
	clock  clock // of the machine

	mu      sync.Mutex
	current *life // nil: none that accepts requests
	number  int   // of lives
	halted  int   // number of faults that prevent the handler from starting
	closed  bool
	uptime  *uptime
}

// uptime is a life of the host itself.
type uptime struct {
	alive   context.Context //nolint:containedctx // it is the life
	end     context.CancelFunc
	polling sync.WaitGroup
}

func newHost(w *world, i int) *host {
	s := w.plan.Setup
	h := &host{w: w, index: i, front: true, drains: true}
	h.queue = &queueWires{clock: &h.clock}
	if s.Split {
		h.drains = i == s.Hosts-1
		h.front = !h.drains
	}
	h.wires = &wires{w: w, host: i, silent: map[string]int{}, codes: map[int32]int16{}}
	h.boot()
	return h
}

func (h *host) name() string { return fmt.Sprintf("h%d", h.index) }

// boot begins the host's life.
func (h *host) boot() {
	u := &uptime{}
	u.alive, u.end = context.WithCancel(h.w.life)
	h.mu.Lock()
	h.uptime = u
	h.mu.Unlock()
	if h.drains && !h.w.plan.Setup.NoTrigger {
		u.polling.Go(func() { h.trigger(u) })
	}
	h.start()
}

// start starts a handler, unless a fault prevents that.
func (h *host) start() {
	h.mu.Lock()
	if h.halted > 0 || h.closed || h.current != nil || h.uptime.alive.Err() != nil {
		h.mu.Unlock()
		return
	}
	h.number++
	l := newLife(h, fmt.Sprintf("h%d.%d", h.index, h.number))
	h.current = l
	h.mu.Unlock()
	h.w.born(l.name)
	l.start()
}

// lost is called when a handler is gone.
func (h *host) lost(l *life) {
	h.mu.Lock()
	if h.current == l {
		h.current = nil
	}
	h.mu.Unlock()
}

// halt kills or stops the handler, and prevents its restart until the returned function is called.
func (h *host) halt(end func(*life)) (again func()) {
	h.mu.Lock()
	h.halted++
	l := h.current
	h.mu.Unlock()
	if l != nil {
		end(l)
	}
	return func() {
		h.mu.Lock()
		h.halted--
		h.mu.Unlock()
		h.start()
	}
}

// fail kills the host and its handler at the same time.
func (h *host) fail() (again func()) {
	h.mu.Lock()
	u := h.uptime
	h.mu.Unlock()
	u.end()
	back := h.halt((*life).kill)
	return func() {
		u.polling.Wait()
		h.mu.Lock()
		down := h.uptime == u
		h.mu.Unlock()
		back()
		if down {
			h.boot()
		}
	}
}

// close ends the host as the platform does.
func (h *host) close() {
	h.mu.Lock()
	l := h.current
	h.closed = true
	h.mu.Unlock()
	h.uptime.end()
	h.uptime.polling.Wait()
	if l != nil {
		l.stop()
	}
}

// answer is a handler's.
type answer struct {
	status int // 0: none
	body   []byte
	header http.Header
	by     string // the life that was asked, "" where there was none
	took   time.Duration
}

// post passes a request to the handler, as soon as there is one.
func (h *host) post(ctx context.Context, path string, header http.Header, body []byte) answer {
	return h.ask(ctx, http.MethodPost, path, header, body)
}

func (h *host) ask(ctx context.Context, method, path string, header http.Header, body []byte) answer {
	l := h.await(ctx)
	if l == nil {
		return answer{}
	}
	a := answer{by: l.name}
	h.mu.Lock()
	alive := h.uptime.alive
	h.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(alive, cancel)() //nolint:contextcheck // the host's life ends it, too
	req, err := http.NewRequestWithContext(ctx, method, "http://handler"+path, bytes.NewReader(body))
	h.w.must(err)
	req.Header = header
	sent := time.Now()
	resp, err := l.transport.RoundTrip(req)
	if err != nil {
		a.took = time.Since(sent)
		return a
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	a.took = time.Since(sent)
	if err != nil || l.link.gone() {
		return a
	}
	a.status, a.body, a.header = resp.StatusCode, text, resp.Header
	return a
}

// await waits for a handler, for as long as the real host tries. It returns nil if there is none by then.
func (h *host) await(ctx context.Context) *life {
	for range 10 {
		h.mu.Lock()
		l, alive := h.current, h.uptime.alive
		h.mu.Unlock()
		if alive.Err() != nil {
			return nil
		}
		if l != nil && l.ready() {
			return l
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// dial connects to a handler.
func (l *life) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return l.host.w.net.dial(ctx, &plainPath{w: l.host.w, name: l.name, dead: &l.link.dead}, l.address)
}
