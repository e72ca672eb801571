//go:build !linux

package alarm

import (
	"context"
	"time"
)

// New returns an Until that works until ctx ends.
func New(ctx context.Context) (Until, error) {
	return func(t time.Time) error {
		select {
		case <-time.After(time.Until(t)):
		case <-ctx.Done():
		}
		return ctx.Err()
	}, nil
}
