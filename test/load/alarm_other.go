//go:build !linux

package load

import (
	"context"
	"time"
)

// Alarm returns a function that returns at a point in time, and with an error when ctx has ended.
func Alarm(ctx context.Context) (until func(time.Time) error, err error) {
	return func(t time.Time) error {
		select {
		case <-time.After(time.Until(t)):
		case <-ctx.Done():
		}
		return ctx.Err()
	}, nil
}
