package child

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the time that the child has kept processors busy so far, in user and in kernel mode. It is exact to well
// below a millisecond, unlike the ticks of /proc/PID/stat.
func (p *Process) CPU() (time.Duration, error) {
	// The process's own clock, as clock_getcpuclockid(3) makes its number: inverted id, CPUCLOCK_SCHED.
	clock := int32(^p.cmd.Process.Pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("read the child's processor time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// PeakMemory returns the most memory that the child has had resident so far, in bytes (VmHWM).
func (p *Process) PeakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the child's memory: %w", err)
	}
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "VmHWM:" {
			continue
		}
		kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the child's memory: %w", err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("read the child's memory: %w", os.ErrNotExist)
}
