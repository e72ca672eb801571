package child_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/parent"
	"userrelay/test/child"
	"userrelay/test/must"
)

// TestMain is also the child's program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "child" {
		os.Exit(beChild())
	}
	goleak.VerifyTestMain(m)
}

func beChild() int {
	if env := os.Environ(); len(env) > 2 { //nolint:forbidigo // ONE, and what Windows adds
		fmt.Fprintln(os.Stderr, "not an environment of its own:", env)
		return 3
	}
	ctx, stop := parent.Context()
	defer stop()
	for block := make([]byte, 1<<20); block[0] < 200; block[0]++ { // enough for the system's coarse clock of processors
		sha256.Sum256(block)
	}
	fmt.Println("done") //nolint:forbidigo // what the parent reads
	<-ctx.Done()
	return 0
}

func start(t *testing.T, env ...string) *child.Process {
	t.Helper()
	exe := must.Get[string](t)(os.Executable())
	p := must.Get[*child.Process](t)(child.Start(child.Spec{Program: exe, Args: []string{"child"}, Env: env, Output: true}))
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestProcess measures a child, has it stand still, and kills it so.
func TestProcess(t *testing.T) {
	t.Setenv("FROM_THE_PARENT", "1")
	p := start(t, "ONE=1")
	if line := must.Get[string](t)(p.Line()); line != "done" {
		t.Errorf("the child says %q", line)
	}
	if cpu, err := p.CPU(); !errors.Is(err, errors.ErrUnsupported) {
		if err != nil || cpu < time.Millisecond || cpu > time.Minute {
			t.Errorf("it was busy for %v: %v", cpu, err)
		}
		u := child.UsageOf(p.PID())
		if !u.Known || u.MiB < 1 || u.Peak < u.MiB || u.Peak > 1024 || u.Files < 3 || u.Threads < 1 {
			t.Errorf("it holds %s, and at most %v MiB", u, u.Peak)
		}
	}
	if err := p.Halt(); !errors.Is(err, errors.ErrUnsupported) {
		if err := errors.Join(err, p.Resume(), p.Halt(), p.Gone()); err != nil {
			t.Error(err)
		}
	}
	err := p.Kill()
	if u := child.UsageOf(p.PID()); err != nil || p.Gone() == nil || u.Known {
		t.Errorf("it is there after it was killed, and holds %s: %v", u, err)
	}
}

func TestSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	p := start(t, "ONE=1", "TWO=2", "THREE=3")
	if _, err := p.Line(); err == nil {
		t.Error("a line from nowhere")
	}
	err := errors.Join(p.Stop(), p.Gone())
	if err == nil || !strings.Contains(err.Error(), "exit status 3; it said: not an environment of its own: [ONE=1") {
		t.Errorf("gone: %v; want the exit code and what it said", err)
	}
	if _, err := child.Start(child.Spec{Program: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("nothing was started without an error")
	}
}
