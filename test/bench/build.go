package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
)

// build builds all programs besides the load generator.
func (b *bench) build(ctx context.Context) error {
	b.say("building the handler and what it is measured with")
	args := append(append([]string{"build"}, b.plan.build...), "-o", b.dir+string(filepath.Separator),
		"userrelay/handler", "userrelay/test/bench/relay", "userrelay/test/bench/broker")
	return compile(ctx, args)
}

// compile runs a go command that builds.
func compile(ctx context.Context, args []string) error {
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil { //nolint:gosec // G204: our own programs
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// program returns the path of a program from build.
func (b *bench) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(b.dir, name)
}
