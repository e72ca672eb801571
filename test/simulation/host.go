package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// host is a machine with a Functions host, which starts the handler, passes it requests and messages, and restarts it
// after a crash (local/funchost is a complete stand-in).
type host struct {
	w      *world
	name   string
	front  bool // takes registrations
	drains bool
	wires  *wires

	mu      sync.Mutex
	current *life // nil: none that accepts requests
	number  int   // of lives
	halted  int   // number of faults that prevent the handler from starting
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
	last := i == s.Hosts-1
	h := &host{w: w, name: fmt.Sprintf("h%d", i), front: !s.Split || !last, drains: !s.Split || last}
	h.wires = &wires{w: w, silent: map[string]int{}, codes: make([]int16, s.Partitions)}
	h.boot()
	return h
}

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
	if h.halted > 0 || h.current != nil || h.uptime.alive.Err() != nil {
		h.mu.Unlock()
		return
	}
	h.number++
	l := newLife(h, fmt.Sprintf("%s.%d", h.name, h.number))
	h.current = l
	h.mu.Unlock()
	l.start()
}

// lost is called when a handler is gone.
func (h *host) lost(l *life) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == l {
		h.current = nil
	}
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
	u := h.up()
	u.end()
	back := h.halt((*life).kill)
	return func() {
		u.polling.Wait()
		down := h.up() == u
		back()
		if down {
			h.boot()
		}
	}
}

// up is the host's life, which may have ended.
func (h *host) up() *uptime {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.uptime
}

// close ends the host as the platform does.
func (h *host) close() {
	u := h.up()
	u.end()
	u.polling.Wait()
	h.halt((*life).stop)
}

// answer is a handler's.
type answer struct {
	status int // 0: none
	body   []byte
	header http.Header
	by     string // the life that was asked, "" where there was none
	took   time.Duration
}

// ask passes a request to the handler, as soon as there is one.
func (h *host) ask(ctx context.Context, method, path string, header http.Header, body []byte) answer {
	l := h.await(ctx)
	if l == nil {
		return answer{}
	}
	a := answer{by: l.name}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.up().alive, cancel)() //nolint:contextcheck // the host's life ends it, too
	req := must(http.NewRequestWithContext(ctx, method, "http://"+l.address+path, bytes.NewReader(body)))
	req.Header = header
	sent := time.Now()
	resp, err := l.transport.RoundTrip(req)
	if err == nil {
		a.body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	a.took = time.Since(sent)
	if err == nil && !l.gone() {
		a.status, a.header = resp.StatusCode, resp.Header
	}
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
		if sleep(ctx, 200*time.Millisecond) != nil {
			return nil
		}
	}
	return nil
}
