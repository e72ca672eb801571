package e2e_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// child is a process that another process of the test started.
type child struct {
	pid   int
	begin string // when it started, in ticks since the system did: ids are used again
	name  string
}

// needProc skips a test if the system has no /proc.
func needProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: finds the children of a process in /proc, which only Linux has")
	}
}

// stat reads the state of a process. dead says that it has ended, including a zombie.
func stat(pid int) (c child, parent int, dead bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return child{}, 0, true
	}
	// pid (name) state parent …; the name may hold anything.
	_, rest, _ := strings.Cut(string(text), "(")
	closing := strings.LastIndexByte(rest, ')')
	fields := strings.Fields(rest[closing+1:])
	parent, err = strconv.Atoi(fields[1])
	return child{pid: pid, begin: fields[19], name: rest[:closing]}, parent, err != nil || fields[0] == "Z" || fields[0] == "X"
}

// children returns the living children of a process, their children and so on.
func children(t *testing.T, of int) (all []child) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	byParent := map[int][]child{}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if c, parent, dead := stat(pid); !dead {
			byParent[parent] = append(byParent[parent], c)
		}
	}
	for parents := []int{of}; len(parents) > 0; parents = parents[1:] {
		for _, c := range byParent[parents[0]] {
			all = append(all, c)
			parents = append(parents, c.pid)
		}
	}
	return all
}

// lives says whether the process still exists.
func (c child) lives() bool {
	now, _, dead := stat(c.pid)
	return !dead && now.begin == c.begin
}

func (c child) kill(t *testing.T) {
	t.Helper()
	p, err := os.FindProcess(c.pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Errorf("kill %+v: %v", c, err)
	}
}

// named returns the living child of that name, and whether there is one.
func (p *process) named(t *testing.T, name string) (child, bool) {
	t.Helper()
	for _, c := range children(t, p.cmd.Process.Pid) {
		if c.name == name {
			return c, true
		}
	}
	return child{}, false
}
