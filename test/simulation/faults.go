package simulation

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apply begins a fault. The returned function ends it.
func (w *world) apply(f Fault) (end func()) {
	h := w.hosts[f.Node%len(w.hosts)]
	switch f.Kind {
	case Cut, NextBefore, NextMiddle, NextAfter, NextHalf, Refuse, Silence, BlackHole, Slow, SlowStore, CodeAfter:
		return w.wireFault(h.wires, f)
	case CodeBefore, CodeInit, CodeLook, Move, Restart, Renumber, Replace, Remake, Limit:
		return w.brokers.apply(f)
	case Queue500, Queue503, QueueLost, QueueRefuse, QueueSilent, QueueSlow:
		return w.queueFault(f)
	case Kill:
		return h.halt((*life).kill)
	case KillHost:
		return h.fail()
	case Stop:
		return h.halt((*life).stop)
	case KillAt:
		return h.killAt(steps()[f.Code%len(steps())])
	case Token:
		w.noTokens.Store(true)
		return func() { w.noTokens.Store(false) }
	case Clock:
		return h.clock.jump(f.Code)
	case Ingest:
		w.sink.mode.Store(int32(1 + f.Code%3))
		return func() { w.sink.mode.Store(0) }
	}
	panic("a fault of kind " + string(f.Kind))
}

// killAt kills the handler at a step of its work, and restarts it at the end.
func (h *host) killAt(step string) (end func()) {
	set := func(s string) {
		h.wires.mu.Lock()
		h.wires.kill = s
		h.wires.mu.Unlock()
	}
	set(step)
	return func() {
		set("")
		h.start()
	}
}

func (w *world) wireFault(x *wires, f Fault) (end func()) {
	set := func(change func()) { x.mu.Lock(); change(); x.mu.Unlock() }
	cut := func() {
		w.net.cut(func(c *conn) bool { l, ok := c.path.(*link); return ok && l.wires == x })
	}
	ways := map[Kind]string{NextBefore: "before", NextMiddle: "middle", NextAfter: "after", NextHalf: "half"}
	switch f.Kind {
	case Cut:
		cut()
		return func() {}
	case Refuse:
		set(func() { x.refuse = true })
		cut()
		return func() { set(func() { x.refuse = false }) }
	case Silence, BlackHole:
		addresses := w.someBrokers(f.Code)
		x.silence(addresses, true, false)
		return func() { x.silence(addresses, false, f.Kind == BlackHole) }
	case Slow:
		slow := []time.Duration{20 * time.Millisecond, 300 * time.Millisecond, 1500 * time.Millisecond, 4 * time.Second}[f.Code%4]
		set(func() { x.slow = slow })
		return func() { set(func() { x.slow = 0 }) }
	case SlowStore:
		set(func() { x.slowStore = time.Duration(f.Code) * time.Millisecond })
		return func() { set(func() { x.slowStore = 0 }) }
	case CodeAfter:
		codes := doubtfulCodes()
		partition := int32(f.Code % w.plan.Setup.Partitions)
		set(func() { x.codes[partition] = codes[f.Code%len(codes)].Code })
		return func() { set(func() { delete(x.codes, partition) }) }
	default:
		set(func() { x.next = ways[f.Kind] })
		return func() { set(func() { x.next = "" }) }
	}
}

// someBrokers returns the addresses of one broker or, mostly, of all.
func (w *world) someBrokers(code int) (addresses []string) {
	n := w.plan.Setup.Brokers
	if code%3 == 0 {
		return []string{brokerAddress(code % n)}
	}
	for i := range n {
		addresses = append(addresses, brokerAddress(i))
	}
	return addresses
}

func (w *world) queueFault(f Fault) (end func()) {
	var all []*queueWires
	for i, h := range w.hosts {
		if f.Code%2 == 0 || f.Node%len(w.hosts) == i {
			all = append(all, h.queue)
		}
	}
	mode := map[Kind]string{
		Queue500: "500", Queue503: "503", QueueLost: "lost", QueueRefuse: "refuse", QueueSilent: "silent", QueueSlow: "slow",
	}[f.Kind]
	set := func(mode string) {
		for _, q := range all {
			q.mu.Lock()
			q.mode = mode
			q.mu.Unlock()
		}
	}
	set(mode)
	return func() { set("") }
}

// apply begins a fault of the brokers. Without a cluster or a topic it does nothing.
func (b *brokers) apply(f Fault) (end func()) {
	switch f.Kind {
	case Replace:
		return b.replace()
	case Remake:
		return b.remake(1 + f.Code%b.setup.Partitions)
	case Renumber:
		return b.renumber(f.Node % b.setup.Brokers)
	case Restart:
		at := brokerAddress(f.Node % b.setup.Brokers)
		b.w.net.setDown(at, true)
		return func() { b.w.net.setDown(at, false) }
	case Limit:
		b.limit(600 + 100*(f.Code%3))
		return func() { b.limit(0) }
	default:
		return b.answers(f)
	}
}

// answers begins a fault in the brokers' answers.
func (b *brokers) answers(f Fault) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return func() {}
	}
	switch f.Kind {
	case Move:
		nodes := slices.DeleteFunc(b.nodes(), func(id int32) bool { return id < 0 })
		b.w.must(b.cluster.MoveTopicPartition(topic, int32(f.Node%b.partitions()), nodes[f.Code%len(nodes)]))
		return func() {}
	case CodeInit:
		codes := []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.ClusterAuthorizationFailed, kerr.UnknownServerError}
		b.w.initCode.Add(1)
		end := b.answer(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: codes[f.Code%len(codes)], TopLevel: true})
		return func() { b.w.initCode.Add(-1); end() }
	case CodeLook:
		codes := []*kerr.Error{kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.TopicAuthorizationFailed}
		return b.answer(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: topic, Err: codes[f.Code%len(codes)]})
	default:
		codes := errorCodes()
		return b.answer(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{int32(f.Node % b.partitions())}, Err: codes[f.Code%len(codes)],
		})
	}
}

// answer makes brokers answer an error code, until end is called or the era ends. b.mu is held.
func (b *brokers) answer(f kfake.Fault) (end func()) {
	f.Count = -1
	h := b.cluster.Fault(f)
	b.codes = append(b.codes, h)
	return h.Remove
}
