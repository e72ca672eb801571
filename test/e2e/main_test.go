package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"userrelay/test/localrun"
)

// moduleRoot is the folder for the commands of README.md, relative to the folder of the tests.
const moduleRoot = "../.."

// handlerBinary is the handler from TestMain.
var handlerBinary string //nolint:gochecknoglobals // TestMain has no other way to hand something to tests

// TestMain builds the handler, with the race detector if the tests use it, and runs more tests in parallel than there
// are processors, unless -parallel is set, because these tests mostly wait for time limits. If a test has started this
// binary as a handler's parent, it acts as that.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == beParent {
		runParent(os.Args[2])
		return
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "userrelay-e2e-")
	if parallel := flag.Lookup("test.parallel"); err == nil && parallel.Value.String() == parallel.DefValue {
		err = parallel.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
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

// build builds the handler into dir for the tests, and everything that `go run ./local` builds, so that concurrent
// runs of it find everything and write nothing.
func build(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "handler.exe") // Windows wants the ending, the others do not mind
	info, ok := debug.ReadBuildInfo()
	race := ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	ctx := context.Background()
	return binary, errors.Join(
		localrun.Compile(ctx, binary, "./handler", "-race="+strconv.FormatBool(race)),
		localrun.Build(ctx, filepath.Join(dir, "local.exe")), localrun.Go(ctx, "run", "./local", "-help"),
	)
}
