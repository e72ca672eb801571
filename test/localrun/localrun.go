// Package localrun runs the program of go run ./local for tests that look at what it serves.
package localrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/wait"
)

const (
	root       = "../.."         // the project's folder, from the folders of the tests
	buildLimit = 5 * time.Minute // with nothing in Go's cache
	endLimit   = 10 * time.Second
)

// Addresses is what -ready writes.
type Addresses struct {
	URL     string `json:"url"`
	Key     string `json:"key"`
	Page    string `json:"page"`
	Brokers string `json:"brokers"`
	Topic   string `json:"topic"`
	Outbox  struct {
		ConnectionString string `json:"connectionString"`
		Queue            string `json:"queue"`
		Poison           string `json:"poison"`
	} `json:"outbox"`
}

// Read reads the file of -ready. The error is fs.ErrNotExist until all of it answers.
func Read(file string) (a Addresses, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return Addresses{}, fmt.Errorf("read what -ready writes: %w", err)
	}
	return a, nil
}

// Build builds the program, to a file, and the handler that it starts, to its place: several that are started at once then
// find it there and write nothing.
func Build(ctx context.Context, to string) error {
	handler := "bin/handler"
	if runtime.GOOS == "windows" {
		handler += ".exe"
	}
	return errors.Join(Compile(ctx, to, "./local"), Compile(ctx, filepath.FromSlash(handler), "./handler"))
}

// Compile builds a program of the project to a file, which is absolute or below the project's folder. Flags are of go build.
func Compile(ctx context.Context, to, what string, flags ...string) error {
	return Go(ctx, slices.Concat([]string{"build", "-pgo=off", "-o", to}, flags, []string{what})...)
}

// Go runs the go command in the project's folder.
func Go(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	command := exec.CommandContext(ctx, "go", args...) //nolint:gosec // G204: programs of ours
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Stack is the running program.
type Stack struct {
	Addresses

	// Stop ends all of it as Ctrl-C does, and waits. It may be called again.
	Stop func()
}

// Start starts a program that Build has built, and waits until all of it answers. Without -port among the arguments the function
// is on a free one. It ends with the test.
func Start(tb testing.TB, program string, environment []string, args ...string) *Stack {
	tb.Helper()
	ready := filepath.Join(tb.TempDir(), "ready.json")
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	command := exec.CommandContext(ctx, program, append([]string{"-port", "0", "-ready", ready}, args...)...) //nolint:gosec // G204: likewise
	command.Dir, command.Env = root, environment
	command.Stdout, command.Stderr = tb.Output(), tb.Output()
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = endLimit
	if err := command.Start(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // what ends it is told by its output
	}()
	s := &Stack{Stop: func() { cancel(); <-ended }}
	tb.Cleanup(s.Stop)
	wait.For(tb, "local is ready", func() bool {
		select {
		case <-ended:
			tb.Fatal("local ended before it was ready")
		default:
		}
		var err error
		s.Addresses, err = Read(ready)
		return err == nil
	})
	return s
}
