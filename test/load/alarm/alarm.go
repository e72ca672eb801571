// Package alarm waits until a point in time, to some 0.1 ms on Linux. Go's own timers are up to a millisecond late
// there, because the runtime sleeps in epoll_wait, which counts in milliseconds; that is too much for measuring 5 ms.
package alarm
