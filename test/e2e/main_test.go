package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	// moduleRoot is where users run the commands of README.md, seen from the folder in which tests run.
	moduleRoot = "../.."
	buildLimit = 5 * time.Minute // with nothing in Go's cache
)

// handlerBinary is the handler that TestMain has built.
var handlerBinary string //nolint:gochecknoglobals // TestMain has no other way to hand something to tests

// TestMain builds the handler, with the race detector where the tests have it. Where a test starts this binary as a
// parent for a handler, it is that.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == beParent {
		os.Exit(runParent(os.Args[2]))
	}
	dir, err := os.MkdirTemp("", "userrelay-e2e-")
	if err == nil {
		err = moreParallel()
	}
	if err == nil {
		handlerBinary, err = build(dir)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// moreParallel lets more tests run at a time than there are processors, unless -parallel says how many: most of what a
// test here does is to wait for a time limit.
func moreParallel() error {
	flag.Duration(awayFlag, time.Minute, "how long the storage account is away in TestStorageAway")
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
}

// build builds the handler into dir for the tests, and all that `go run ./local` builds: several of these, started at
// once, then find it in Go's cache and at its place, and write nothing.
func build(dir string) (string, error) {
	binary := filepath.Join(dir, "handler.exe") // Windows wants the ending, the others do not mind
	race := "-race=" + strconv.FormatBool(raceDetector())
	for _, args := range [][]string{
		{"build", "-pgo=off", race, "-o", binary, "./handler"},
		{"build", "-pgo=off", "-o", filepath.FromSlash(localBinary()), "./handler"},
		{"run", "./local", "-help"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
		defer cancel()
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir = moduleRoot
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return filepath.Abs(binary)
}

// raceDetector says whether this test binary was built with the race detector.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
