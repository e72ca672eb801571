//go:build !linux

package alarm

import (
	"os"
	"time"
)

// Alarm waits for one goroutine at a time.
type Alarm struct{ closed chan struct{} }

// New returns an alarm. It must be closed, once.
func New() (*Alarm, error) { return &Alarm{make(chan struct{})}, nil }

// Until returns at t, or at once when t is past. The error is of an alarm that was closed.
func (a *Alarm) Until(t time.Time) error {
	select {
	case <-time.After(time.Until(t)):
		return nil
	case <-a.closed:
		return os.ErrClosed
	}
}

// Close ends the alarm, and a wait that is under way.
func (a *Alarm) Close() error {
	close(a.closed)
	return nil
}
