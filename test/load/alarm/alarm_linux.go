package alarm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// New returns an Until that works until ctx ends, which must happen. Unlike a sleeping thread it does not block other
// goroutines: the runtime waits for the timer as for a connection.
func New(ctx context.Context) (Until, error) {
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
