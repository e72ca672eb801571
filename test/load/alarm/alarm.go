// Package alarm waits until a point in time, to some 0.1 ms on Linux. Go's own timers are up to a millisecond late
// there, because the runtime sleeps in epoll_wait, which counts in milliseconds; that is too much for measuring 5 ms.
package alarm

import "time"

// Until returns at t, or at once if t is past. When its context has ended it returns an error. It serves one goroutine
// at a time.
type Until func(t time.Time) error
