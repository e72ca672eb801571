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
	// moduleRoot is the folder for the commands of README.md, relative to the folder of the tests.
	moduleRoot = "../.."
	buildLimit = 5 * time.Minute // with an empty Go cache
)

// handlerBinary is the handler from TestMain.
var handlerBinary string //nolint:gochecknoglobals // TestMain has no other way to hand something to tests

// TestMain builds the handler, with the race detector if the tests use it. If a test has started this binary as a
// handler's parent, it acts as that.
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

// moreParallel permits more parallel tests than processors, unless -parallel is set, because these tests mostly wait
// for time limits.
func moreParallel() error {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
}

// build builds the handler into dir for the tests, and everything that `go run ./local` builds, so that concurrent
// runs of it find everything and write nothing.
func build(dir string) (string, error) {
	binary, local := filepath.Join(dir, "handler.exe"), "bin/handler" // Windows wants the ending, the others do not mind
	if runtime.GOOS == "windows" {
		local += ".exe"
	}
	race := "-race=" + strconv.FormatBool(raceDetector())
	for _, args := range [][]string{
		{"build", "-pgo=off", race, "-o", binary, "./handler"},
		{"build", "-pgo=off", "-o", local, "./handler"},
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
