package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm returns a function that returns at a point in time, or at once if that is past, and with an error when ctx has
// ended, which must happen. It serves one goroutine at a time. It is right to some 0.1 ms: Go's own timers are up to a
// millisecond late on Linux, because the runtime sleeps in epoll_wait, which counts in milliseconds, and that is too much
// for measuring 5 ms. Unlike a sleeping thread it does not block other goroutines: the runtime waits for the timer as for
// a connection.
func Alarm(ctx context.Context) (until func(time.Time) error, err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	file := os.NewFile(uintptr(fd), "timer")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a timer: %w", err), file.Close())
	}
	context.AfterFunc(ctx, func() { _ = file.Close() }) // ends a wait
	return func(t time.Time) error {
		d := time.Until(t)
		if d <= 0 {
			return ctx.Err()
		}
		once := &unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
		var setErr error
		err := raw.Control(func(fd uintptr) { setErr = unix.TimerfdSettime(int(fd), 0, once, nil) })
		if err = errors.Join(err, setErr); err != nil {
			return fmt.Errorf("set the timer: %w", err)
		}
		var expirations [8]byte
		if _, err := file.Read(expirations[:]); err != nil {
			return fmt.Errorf("wait for the timer: %w", err)
		}
		return nil
	}, nil
}
