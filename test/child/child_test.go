package child_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/parent"
	"userrelay/test/child"
)

// TestMain is also the child's program: its argument selects the behaviour.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "child" {
		os.Exit(beChild(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

func beChild(do string) int {
	ctx, stop := parent.Context()
	defer stop()
	switch do {
	case "wait":
		fmt.Println("ready", len(os.Environ())) //nolint:forbidigo // what the parent reads
		<-ctx.Done()
		return 0
	case "work": // enough of it for the system's coarse clock of processors
		for block := make([]byte, 1<<20); block[0] < 200; block[0]++ {
			sha256.Sum256(block)
		}
		fmt.Println("done") //nolint:forbidigo // what the parent reads
		<-ctx.Done()
		return 0
	default:
		fmt.Fprintln(os.Stderr, "no such thing:", do)
		return 3
	}
}

func start(t *testing.T, do string, env ...string) *child.Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(child.Spec{Program: exe, Args: []string{"child", do}, Env: env, Output: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestLivesUntilStopped(t *testing.T) {
	t.Setenv("FROM_THE_PARENT", "1")
	p := start(t, "wait", "ONE=1", "TWO=2")
	line, err := p.Line()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains([]string{"ready 2", "ready 3"}, line) { // Windows adds SYSTEMROOT
		t.Errorf("the child says %q; it is to have an environment of its own", line)
	}
	if err := p.Gone(); err != nil {
		t.Errorf("it is gone before it was stopped: %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if p.Gone() == nil {
		t.Error("it is there after it was stopped")
	}
}

func TestSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	p := start(t, "nonsense")
	if _, err := p.Line(); err == nil {
		t.Error("a line from nowhere")
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if err := p.Gone(); err == nil || !strings.Contains(err.Error(), "no such thing: nonsense") || !strings.Contains(err.Error(), "3") {
		t.Errorf("gone: %v; want the exit code and what it said", err)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	if _, err := child.Start(child.Spec{Program: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("nothing was started without an error")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	p := start(t, "work")
	if _, err := p.Line(); err != nil {
		t.Fatal(err)
	}
	cpu, err := p.CPU()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("only Linux tells what another process costs")
	}
	if err != nil || cpu < time.Millisecond || cpu > time.Minute {
		t.Errorf("it was busy for %v: %v", cpu, err)
	}
	u := child.UsageOf(p.PID())
	if !u.Known || u.MiB < 1 || u.Peak < u.MiB || u.Peak > 1024 || u.Files < 3 || u.Threads < 1 {
		t.Errorf("it holds %s, and at most %v MiB", u, u.Peak)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if u := child.UsageOf(p.PID()); u.Known || u.String() != "not measured" {
		t.Errorf("a process that is gone holds %s", u)
	}
}

// TestHalt has a child stand still, and killed so.
func TestHalt(t *testing.T) {
	t.Parallel()
	p := start(t, "wait")
	if _, err := p.Line(); err != nil {
		t.Fatal(err)
	}
	err := p.Halt()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no signal that halts a process")
	}
	for _, err := range []error{err, p.Resume(), p.Halt(), p.Gone(), p.Kill()} {
		if err != nil {
			t.Error(err)
		}
	}
	if p.Gone() == nil {
		t.Error("it is there after it was killed")
	}
}
