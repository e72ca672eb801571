//go:build !linux

package alarm

import (
	"os"
	"time"
)

// Alarm serves one goroutine at a time.
type Alarm struct{ closed chan struct{} }

// New returns an alarm. The caller must close it once.
func New() (*Alarm, error) { return &Alarm{make(chan struct{})}, nil }

// Until returns at t, or at once if t is past. It returns an error if the alarm was closed.
func (a *Alarm) Until(t time.Time) error {
	select {
	case <-time.After(time.Until(t)):
		return nil
	case <-a.closed:
		return os.ErrClosed
	}
}

// Close ends the alarm and a current wait.
func (a *Alarm) Close() error {
	close(a.closed)
	return nil
}
