package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"userrelay/test/bench/report"
)

// programs are the programs besides the load generator. The reference relays are built like the released handler.
func programs() []string {
	return []string{"userrelay/handler", "userrelay/test/bench/relay", "userrelay/test/bench/broker", "userrelay/test/bench/ingest", "userrelay/test/bench/host"}
}

// build builds all programs: like the released handler or, if the figures do not matter, with the flags of the Go
// cache.
func (b *bench) build(ctx context.Context) error {
	b.say("building the handler and what it is measured with")
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("look for the module: %w", err)
	}
	b.root = filepath.Dir(strings.TrimSpace(string(mod)))
	args := []string{"build"}
	if b.plan.shipped {
		args = append(args, "-trimpath", "-ldflags=-s -w")
	}
	args = append(append(args, "-o", b.dir+string(filepath.Separator)), programs()...)
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

func size(file string) (int64, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return 0, fmt.Errorf("look at the handler: %w", err)
	}
	return fi.Size(), nil
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s.*?(\d+) B/op\s+(\d+) allocs/op`)

// goBenchmarks runs the handler's Go benchmarks, which measure the allocations of a request.
func goBenchmarks(ctx context.Context, progress io.Writer) ([]report.Alloc, error) {
	_, _ = fmt.Fprintln(progress, "running the handler's Go benchmarks")
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=.", "-benchmem", "-benchtime=200ms", "userrelay/handler/...")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("run the handler's Go benchmarks: %w\n%s", err, out)
	}
	return parseBenchmarks(out)
}

func parseBenchmarks(out []byte) ([]report.Alloc, error) {
	var all []report.Alloc
	for _, m := range benchmarkLine.FindAllSubmatch(bytes.ReplaceAll(out, []byte("\r"), nil), -1) {
		a := report.Alloc{Name: string(m[1])}
		var errs [3]error
		a.NsOp, errs[0] = strconv.ParseFloat(string(m[2]), 64)
		a.Bytes, errs[1] = strconv.ParseInt(string(m[3]), 10, 64)
		a.Allocs, errs[2] = strconv.ParseInt(string(m[4]), 10, 64)
		for _, err := range errs {
			if err != nil {
				return nil, fmt.Errorf("read the figures of benchmark %s: %w", a.Name, err)
			}
		}
		all = append(all, a)
	}
	return all, nil
}
