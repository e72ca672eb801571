package funchost

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// The times of the host's queue listener (azure-sdk-for-net, QueueListener.cs; azure-webjobs-sdk 3, the same).
const (
	invisibility = 10 * time.Minute // of a message that a function works on
	renewal      = invisibility / 2
)

// messageQueue are the methods of a queue that a listener uses.
type messageQueue interface {
	take(ctx context.Context, n int, hidden time.Duration) ([]message, error)
	hide(ctx context.Context, m *message, hidden time.Duration) error
	remove(ctx context.Context, m *message) error
	copyToPoison(ctx context.Context, m *message) error
}

// listener runs a function for each message of a queue.
type listener struct {
	fn      queueFunction
	options queueOptions
	queue   messageQueue
	console *console
	// invoke runs the function. If it returns nil the message may be deleted.
	invoke func(ctx context.Context, m message, body []byte) error
	// unhandled is called with errors that the real listener does not catch. It ends the whole host.
	unhandled func(error)
}

// listen receives messages until polling ends, and returns when those in progress are finished. When life ends they
// are abandoned at once and stay in the queue, invisible until their time is over.
//
// After a 5xx of the service it waits and tries again. Every other error is an unhandled exception: a service that
// refuses all connections of a call, or a key that is not accepted.
func (l *listener) listen(polling, life context.Context) {
	var processing sync.WaitGroup
	defer processing.Wait()
	underWay, done := 0, make(chan struct{}, l.options.batchSize+l.options.newBatchThreshold)
	interval := backOff{most: l.options.maxInterval}
	reachable := true
	for polling.Err() == nil {
		messages, err := l.queue.take(polling, l.options.batchSize, invisibility)
		if polling.Err() == nil {
			if err != nil && !errors.Is(err, errService) {
				l.unhandled(err)
				return
			}
			if (err == nil) != reachable {
				reachable = err == nil
				l.tellReachable(err)
			}
		}
		for _, m := range messages {
			underWay++
			processing.Go(func() {
				l.report(life, &m, l.process(life, &m))
				done <- struct{}{}
			})
		}
		if len(messages) == 0 {
			select {
			case <-polling.Done():
			case <-time.After(interval.next()):
			}
			continue
		}
		interval = backOff{most: l.options.maxInterval}
		for underWay > l.options.newBatchThreshold && polling.Err() == nil {
			select {
			case <-polling.Done():
			case <-done:
				underWay--
			}
		}
	}
}

// tellReachable prints once that the queue service became unreachable, and once that it is reachable again.
func (l *listener) tellReachable(err error) {
	if err != nil {
		l.console.fail("The queue '%s' of function '%s' cannot be read, and will be tried again: %v", l.fn.queue, l.fn.name, err)
		return
	}
	l.console.info("The queue '%s' of function '%s' can be read again.", l.fn.queue, l.fn.name)
}

// process handles one message. An error means that a call of the queue failed, and that the message is received again
// when its invisibility ends.
func (l *listener) process(life context.Context, m *message) error {
	tooOften := fmt.Sprintf("Message has reached MaxDequeueCount of %d.", l.options.maxDequeueCount)
	if m.dequeueCount > l.options.maxDequeueCount {
		return l.giveUp(life, m, tooOften)
	}
	body, err := l.decode(m.text)
	if err != nil {
		return l.giveUp(life, m, fmt.Sprintf("Message '%s' cannot be decoded: %v.", m.id, err))
	}
	err = l.invokeKeeping(life, m, body)
	ctx, cancel := outlive(life)
	defer cancel()
	switch {
	case err == nil:
		return l.queue.remove(ctx, m) //nolint:wrapcheck // it says what was done
	case life.Err() != nil: // the result is unknown
		return nil
	case l.fn.poisonQueue() == "": // it would be received again at once, forever
		return nil
	case m.dequeueCount >= l.options.maxDequeueCount:
		return l.giveUp(life, m, tooOften)
	default:
		return l.queue.hide(ctx, m, l.options.visibilityTimeout) //nolint:wrapcheck // it says what was done
	}
}

// decode returns a message's content.
func (l *listener) decode(text string) ([]byte, error) {
	if l.options.plain {
		return []byte(text), nil
	}
	// .NET accepts white space anywhere.
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("not base64, which messageEncoding asks for: %w", err)
	}
	return data, nil
}

// invokeKeeping runs the function and keeps the message invisible during the run.
func (l *listener) invokeKeeping(life context.Context, m *message, body []byte) error {
	given := *m
	ended := make(chan struct{})
	var keeping sync.WaitGroup
	keeping.Go(func() { l.keep(life, m, ended) })
	defer keeping.Wait()
	defer close(ended)
	return l.invoke(life, given, body)
}

// keep renews a message's invisibility at half of its time until ended is closed. It finishes a renewal in progress,
// because the answer has the receipt for deleting the message. It stops after a failed renewal.
func (l *listener) keep(life context.Context, m *message, ended <-chan struct{}) {
	ctx, cancel := outlive(life)
	defer cancel()
	for {
		select {
		case <-ended:
			return
		case <-time.After(renewal):
		}
		if err := l.queue.hide(ctx, m, invisibility); err != nil {
			l.report(life, m, err)
			return
		}
	}
}

// giveUp moves a message to the poison queue. Without a poison queue the message stays.
func (l *listener) giveUp(life context.Context, m *message, why string) error {
	poison := l.fn.poisonQueue()
	if poison == "" {
		return nil
	}
	ctx, cancel := outlive(life)
	defer cancel()
	l.console.print(warning, "%s Moving message to queue '%s'.", why, poison)
	if err := l.queue.copyToPoison(ctx, m); err != nil {
		return err //nolint:wrapcheck // it says what was done
	}
	return l.queue.remove(ctx, m) //nolint:wrapcheck // it says what was done
}

// report passes on an error of handling a message, unless the host's own end is the cause.
func (l *listener) report(life context.Context, m *message, err error) {
	if err != nil && life.Err() == nil {
		l.unhandled(fmt.Errorf("message '%s' of queue '%s': %w", m.id, l.fn.queue, err))
	}
}

// outlive returns a context for work that must be finished although the host stops. It ends a little after life.
func outlive(life context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(life))
	unbind := context.AfterFunc(life, func() { time.AfterFunc(closeTimeout, cancel) })
	return ctx, func() { unbind(); cancel() }
}

// backOff returns how long to wait between two reads of an empty queue: about twice as long each time, with a random
// part, so that the instances of an app do not read at the same time (azure-webjobs-sdk,
// RandomizedExponentialBackoffStrategy.cs).
type backOff struct {
	most  time.Duration
	tries int
}

func (b *backOff) next() time.Duration {
	// Above this exponent the longest interval is always reached.
	const maxTries = 32
	d := minPollingInterval
	if b.tries < maxTries {
		spread := 0.8 + 0.4*rand.Float64() //nolint:gosec // G404: this keeps instances apart, it is no secret
		d += time.Duration(spread * float64(minPollingInterval) * float64(int64(1)<<b.tries))
		b.tries++
	} else {
		d = b.most
	}
	return min(d, b.most)
}
