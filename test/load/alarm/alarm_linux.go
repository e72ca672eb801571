package alarm

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm serves one goroutine at a time. Unlike a sleeping thread it does not block other goroutines: the runtime waits
// for the timer as for a connection.
type Alarm struct {
	file *os.File
	raw  syscall.RawConn
}

// New returns an alarm. The caller must close it once.
func New() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	file := os.NewFile(uintptr(fd), "timer")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a timer: %w", err), file.Close())
	}
	return &Alarm{file, raw}, nil
}

// Until returns at t, or at once if t is past. It returns an error if the alarm was closed.
func (a *Alarm) Until(t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	once := &unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
	var setErr error
	err := a.raw.Control(func(fd uintptr) { setErr = unix.TimerfdSettime(int(fd), 0, once, nil) })
	if err = errors.Join(err, setErr); err != nil {
		return fmt.Errorf("set the timer: %w", err)
	}
	var expirations [8]byte
	if _, err := a.file.Read(expirations[:]); err != nil {
		return fmt.Errorf("wait for the timer: %w", err)
	}
	return nil
}

// Close ends the alarm and a current wait.
func (a *Alarm) Close() error { return a.file.Close() }
