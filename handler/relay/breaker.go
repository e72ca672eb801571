package relay

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"userrelay/handler/delivery"
)

const (
	// So many failures in a row, and Kafka counts as away. Fewer would divert for a moment's trouble of one broker.
	tripAfter = 5
	// While it does, one registration is sent to it this often, to see whether it is back.
	probeEvery = time.Second
	// How often those that wait for that look.
	lookEvery = 100 * time.Millisecond
)

var (
	errDiverted = errors.New("kafka is away")
	errPanicked = errors.New("the attempt did not return")
	errLate     = errors.New("no answer in time")
	errGone     = errors.New("the caller is gone")
)

// breaker knows whether Kafka is away, so that no registration waits for it in vain.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newBreaker(o Observer) *breaker {
	return &breaker{gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     probeEvery,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			ctx := context.Background() // whose attempt it was is of no interest
			switch {
			case from == gobreaker.StateClosed:
				o.Diverted(ctx)
			case to == gobreaker.StateClosed:
				o.Resumed(ctx)
			}
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errGone) }, // says nothing about Kafka
		IsSuccessful: func(err error) bool {
			switch delivery.ClassOf(err) {
			case "", delivery.Invalid, delivery.TooLarge: // one record's fault
				return true
			default:
				return false
			}
		},
	})}
}

// allow returns a function that must be told once how the attempt ended, or an error while Kafka is away.
func (b *breaker) allow() (report func(error), err error) {
	if report, err = b.circuit.Allow(); err != nil {
		return nil, &delivery.Error{Class: delivery.Unavailable, Op: "wait for Kafka", Err: errDiverted}
	}
	return report, nil
}

// wait is allow, but waits while Kafka is away, until ctx ends.
func (b *breaker) wait(ctx context.Context) (report func(error), err error) {
	if report, err = b.allow(); err == nil {
		return report, nil
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if report, err = b.allow(); err == nil {
				return report, nil
			}
		case <-ctx.Done():
			return nil, err
		}
	}
}
