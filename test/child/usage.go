package child

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	files, filesErr := os.ReadDir(filepath.Join(dir, "fd"))
	if errors.Join(err, filesErr) != nil {
		return Usage{}
	}
	value := func(name string) (n float64) {
		_, after, _ := strings.Cut(string(status), "\n"+name+":")
		_, _ = fmt.Sscan(after, &n) // 0 where there is none
		return n
	}
	rss := value("VmRSS") / 1024
	return Usage{Known: rss > 0, MiB: rss, Peak: value("VmHWM") / 1024, Files: len(files), Threads: int(value("Threads"))}
}

func (u Usage) String() string {
	if !u.Known {
		return "not measured"
	}
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d threads", u.MiB, u.Files, u.Threads)
}
