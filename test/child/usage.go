package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Usage is what a process holds.
type Usage struct {
	Known   bool // only Linux tells
	MiB     float64
	Peak    float64 // MiB, since its start
	Files   int     // open, connections included
	Threads int
}

// UsageOf looks at a process in /proc. Where there is no such thing, or no such process, nothing is known.
func UsageOf(pid int) Usage {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Usage{}
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return Usage{}
	}
	u := Usage{Files: len(files)}
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.Atoi(string(fields[1]))
		if err != nil {
			continue
		}
		switch string(fields[0]) {
		case "VmRSS:":
			u.MiB, u.Known = float64(n)/1024, true
		case "VmHWM:":
			u.Peak = float64(n) / 1024
		case "Threads:":
			u.Threads = n
		}
	}
	return u
}

func (u Usage) String() string {
	if !u.Known {
		return "not measured"
	}
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d threads", u.MiB, u.Files, u.Threads)
}
