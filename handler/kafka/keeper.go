package kafka

import (
	"context"
	"slices"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

const (
	lookEvery    = 10 * time.Second       // interval between two looks while nothing is wrong
	refreshEvery = 200 * time.Millisecond // at most, where something is
	lookBackoff  = time.Second            // at most, where that does not help
	lookPatience = time.Second            // how long a lane waits for the keeper's next look
	warmEvery    = time.Minute            // below idleTimeout
	// The other lanes connect after the first one, which may have a record to send.
	warmOthersAfter = 50 * time.Millisecond
)

// keeper refreshes the metadata of the cluster, and maintains the connections of idle lanes.
type keeper struct {
	p     *Producer
	asked chan struct{} // capacity 1: the metadata may be out of date
	first chan struct{} // closed when the topic's leaders are known

	mu     sync.Mutex
	looked chan struct{} // closed after the next look
	failed string        // why the last look failed; "" if it did not, or there was none
}

func newKeeper(p *Producer) *keeper {
	return &keeper{p: p, asked: make(chan struct{}, 1), first: make(chan struct{}), looked: make(chan struct{})}
}

// keep refreshes the metadata until ctx ends: every lookEvery, and sooner on request.
func (k *keeper) keep(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	another := false
	for pause := refreshEvery; ; {
		began := time.Now()
		if k.look(ctx, another) {
			pause = refreshEvery
		} else {
			k.ask()
			pause = min(2*pause, lookBackoff)
		}
		select {
		case <-k.asked:
			another = true
			wait(ctx, time.Until(began.Add(pause)))
		case <-look.C:
			another = false
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// ask requests a refresh, because the metadata may be out of date.
func (k *keeper) ask() {
	select {
	case k.asked <- struct{}{}:
	default:
	}
}

// fresh requests a refresh and waits a short time for its end.
func (k *keeper) fresh(ctx context.Context) {
	k.mu.Lock()
	looked := k.looked
	k.mu.Unlock()
	k.ask()
	timer := time.NewTimer(lookPatience)
	defer timer.Stop()
	select {
	case <-looked:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// look refreshes the topic's leaders. It returns false if the next look should follow soon.
func (k *keeper) look(ctx context.Context, another bool) (complete bool) {
	v, err := k.p.cluster.Metadata(ctx, another)
	if ctx.Err() != nil {
		return true
	}
	defer k.publish()
	if err == nil {
		err = v.Problem()
	}
	if err != nil {
		k.p.cannotLook(k, wire.Fail("look up the topic", err, false))
		return false
	}
	if k.p.cluster.Learn(v) {
		k.p.config.Log.WarnContext(ctx, "A different Kafka cluster answers now. Records that it stores are not in the previous one")
	}
	leaders := v.Leaders()
	first, gone := k.p.dispatcher.learn(leaders)
	if first {
		close(k.first)
	}
	for _, l := range gone {
		l.hangUp()
	}
	k.mu.Lock()
	tell := k.failed != ""
	k.failed = ""
	k.mu.Unlock()
	if tell {
		k.p.report.answers(k.p.dispatcher.waiting())
	}
	return !slices.Contains(leaders, wire.NoLeader)
}

// publish wakes those that wait for a refresh.
func (k *keeper) publish() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.looked)
	k.looked = make(chan struct{})
}

// cannotLook notes why the metadata could not be refreshed.
func (p *Producer) cannotLook(k *keeper, trouble *delivery.Error) {
	k.mu.Lock()
	k.failed = wire.Explain(trouble)
	k.mu.Unlock()
	p.report.trouble(trouble)
	if !passing(trouble.Class) {
		answerAll(p.dispatcher.unusable(trouble), trouble)
	}
}

// passing says that an error may be temporary.
func passing(c delivery.Class) bool { return c == delivery.Unavailable || c == delivery.UnknownOutcome }

// warm connects idle lanes of each broker before they are needed, and keeps a few of them connected, until ctx ends.
func (k *keeper) warm(ctx context.Context) {
	select {
	case <-k.first:
	case <-ctx.Done():
		return
	}
	k.warmLanes(ctx, 1)
	wait(ctx, warmOthersAfter)
	k.warmLanes(ctx, lanesPerBroker)
	tick := time.NewTicker(warmEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.sweep()
			k.warmLanes(ctx, fewLanes)
		case <-ctx.Done():
			return
		}
	}
}

// warmLanes connects lanes until each broker has n connected ones, including busy ones. It borrows one at a time, so
// that the others stay available for records.
func (k *keeper) warmLanes(ctx context.Context, n int) {
	var brokers sync.WaitGroup
	for _, b := range k.p.dispatcher.known() {
		brokers.Go(func() {
			for range n {
				l := k.p.dispatcher.borrow(b, n, k.cools)
				if l == nil || !k.warmLane(ctx, l) {
					return
				}
			}
		})
	}
	brokers.Wait()
}

// cools says that a lane has no connection, or one that is about to expire.
func (k *keeper) cools(l *lane) bool {
	now := time.Now()
	return !l.connected || now.Sub(l.conn.Used) > warmEvery/2 || l.expires(now)
}

// expires says that a lane's connection will be too old before the keeper's next look.
func (l *lane) expires(now time.Time) bool { return now.Add(2 * warmEvery).After(l.conn.Expires) }

// warmLane connects a borrowed lane, or uses its connection, and returns the lane. It returns false if that fails.
func (k *keeper) warmLane(ctx context.Context, l *lane) bool {
	if l.connected && l.expires(time.Now()) {
		l.hangUp() // better now than when a record waits
	}
	before := l.conn
	err := l.connect(ctx)
	if err == nil && l.conn == before {
		_, err = l.conn.Metadata(time.Now().Add(k.p.attemptTimeout), k.p.config.Topic)
	}
	if err != nil {
		l.hangUp()
		k.p.unable(l, false, err)
		return false
	}
	k.p.dispatcher.rest(l)
	return true
}

// sweep closes unusable connections of idle lanes.
func (k *keeper) sweep() {
	now := time.Now()
	k.p.cluster.Sweep(now)
	useless := func(l *lane) bool { return l.conn != nil && !l.conn.Good(now) }
	for _, b := range k.p.dispatcher.known() {
		const all = 2 * lanesPerBroker // however many are busy
		for l := k.p.dispatcher.borrow(b, all, useless); l != nil; l = k.p.dispatcher.borrow(b, all, useless) {
			l.hangUp()
			k.p.dispatcher.rest(l)
		}
	}
}
