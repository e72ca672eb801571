package simulation

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// during sets a variable to the value that it has during a fault.
func during[T any](mu *sync.Mutex, variable *T, value T) (end func()) {
	set := func(v T) {
		mu.Lock()
		defer mu.Unlock()
		*variable = v
	}
	set(value)
	return func() {
		var none T
		set(none)
	}
}

// apply begins a fault. The returned function ends it.
func (w *world) apply(f Fault) (end func()) {
	h := w.hosts[f.Node%len(w.hosts)]
	switch f.Kind {
	case Cut, NextBefore, NextMiddle, NextAfter, NextHalf, Refuse, Silence, BlackHole, Slow, SlowStore, CodeAfter:
		return h.wires.apply(f)
	case CodeBefore, CodeInit, CodeLook, Move:
		return w.brokers.answers(f)
	case Restart, Renumber, Replace, Remake, Limit:
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
		missed := during(&h.wires.mu, &h.wires.kill, steps()[f.Code%len(steps())])
		return func() {
			missed()
			h.start()
		}
	case Token:
		w.noTokens.Store(true)
		return func() { w.noTokens.Store(false) }
	case Clock:
		return h.wires.clock.jump(f.Code)
	case Ingest:
		w.sink.fault.Store(int32(1 + f.Code%3))
		return func() { w.sink.fault.Store(0) }
	}
	panic("a fault of kind " + string(f.Kind))
}

// apply begins a fault between the machine and the brokers.
func (x *wires) apply(f Fault) (end func()) {
	cut := func() {
		x.w.net.cut(func(c *conn) bool { return c.kafka && c.from.wires == x })
	}
	switch f.Kind {
	case Cut:
		cut()
		return func() {}
	case Refuse:
		end = during(&x.mu, &x.refuse, true)
		cut()
		return end
	case Silence, BlackHole:
		return x.silence(x.w.someBrokers(f.Code), f.Kind == BlackHole)
	case Slow:
		slow := []time.Duration{20 * time.Millisecond, 300 * time.Millisecond, 1500 * time.Millisecond, 4 * time.Second}
		return during(&x.mu, &x.slow, slow[f.Code%4])
	case SlowStore:
		return during(&x.mu, &x.slowStore, time.Duration(f.Code)*time.Millisecond)
	case CodeAfter:
		codes := doubtfulCodes()
		return during(&x.mu, &x.codes[f.Code%len(x.codes)], codes[f.Code%len(codes)].Code)
	default:
		return during(&x.mu, &x.next, f.Kind)
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

// queueFault begins a fault between the queue and a machine, or all.
func (w *world) queueFault(f Fault) (end func()) {
	var ends []func()
	for i, h := range w.hosts {
		if f.Code%2 == 0 || f.Node%len(w.hosts) == i {
			ends = append(ends, during(&h.wires.mu, &h.wires.queue, f.Kind))
		}
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// apply begins a fault of the brokers or of the topic. Without a cluster or a topic it does nothing.
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
	default: // Limit
		b.limit(600 + 100*(f.Code%3))
		return func() { b.limit(defaultLimit) }
	}
}

// answers begins a fault in the brokers' answers. Without a cluster or a topic it does nothing.
func (b *brokers) answers(f Fault) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return func() {}
	}
	switch f.Kind {
	case Move:
		nodes := b.present()
		check(b.cluster.MoveTopicPartition(topic, int32(f.Node%b.partitions()), nodes[f.Code%len(nodes)]))
		return func() {}
	case CodeInit:
		codes := []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.ClusterAuthorizationFailed, kerr.UnknownServerError}
		b.refuseIDs.Add(1)
		end := b.answer(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: codes[f.Code%len(codes)], TopLevel: true})
		return func() {
			b.refuseIDs.Add(-1)
			end()
		}
	case CodeLook:
		codes := []*kerr.Error{kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.TopicAuthorizationFailed}
		return b.answer(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: topic, Err: codes[f.Code%len(codes)]})
	default: // CodeBefore
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
