package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"userrelay/test/drill/report"
)

// usage is what a process holds.
type usage struct {
	known   bool // only Linux tells
	mib     float64
	peak    float64 // MiB, since its start
	files   int     // open, connections included
	threads int
}

// usageOf looks at a process in /proc. Where there is no such thing, or no such process, nothing is known.
func usageOf(pid int) usage {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status")) //nolint:gosec // G703: of a number
	if err != nil {
		return usage{}
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return usage{}
	}
	u := usage{files: len(files)}
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
			u.mib, u.known = float64(n)/1024, true
		case "VmHWM:":
			u.peak = float64(n) / 1024
		case "Threads:":
			u.threads = n
		}
	}
	return u
}

func (u usage) String() string {
	if !u.known {
		return "not measured"
	}
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d threads", u.mib, u.files, u.threads)
}

// flat checks that a process has not grown by more than so much.
func flat(row *report.Row, what string, before, after usage, mib float64, files, threads int) {
	if !before.known || !after.known {
		row.Note("%s: memory, descriptors and threads are not measured on this system.", what)
		return
	}
	row.Note("%s: the handler had %s before, %s after.", what, before, after)
	row.Size(what+": more memory", max(0, after.mib-before.mib), mib)
	row.Count(what+": more descriptors", max(0, after.files-before.files), files)
	row.Count(what+": more threads", max(0, after.threads-before.threads), threads)
}
