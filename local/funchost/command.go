package funchost

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"userrelay/local/uuid"
)

// command returns the command of a launch of the handler, as host.json describes it. When ctx ends the process is
// killed at once, as the real host does, without an earlier signal.
func (a *app) command(ctx context.Context, port int) *exec.Cmd {
	id, number := uuid.New(), strconv.Itoa(port)
	env := append(environment{}, a.env...)
	env = append(env,
		"FUNCTIONS_CUSTOMHANDLER_PORT="+number,
		"FUNCTIONS_HTTPWORKER_PORT="+number,
		"FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+id,
		"FUNCTIONS_HTTPWORKER_ID="+id,
		"FUNCTIONS_APP_ROOT_PATH="+a.dir,
	)
	cmd := exec.CommandContext(ctx, a.executable(env), a.handlerArgs(env)...) //nolint:gosec // starting what host.json names is the purpose
	cmd.Env = env
	cmd.Dir = a.under(a.file.workingDir)
	cmd.SysProcAttr = ownGroup()
	// A child of the handler may keep its pipes open after the handler is gone.
	cmd.WaitDelay = outputDelay
	return cmd
}

// under returns the absolute form of a folder that is written relative to the app's.
func (a *app) under(dir string) string {
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(a.dir, dir)
}

// executable finds the handler: a file in the worker directory, otherwise a program of that name in PATH.
func (a *app) executable(env environment) string {
	name := env.expand(a.file.executable)
	if filepath.IsAbs(name) {
		return name
	}
	full := filepath.Join(a.under(a.file.workerDir), name)
	for _, file := range []string{full, full + ".exe"} {
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
	}
	return name
}

// handlerArgs returns the handler's arguments. The host joins them with spaces without quotes, so an argument with a
// space becomes two.
func (a *app) handlerArgs(env environment) []string {
	parts := append([]string{}, a.file.arguments...)
	if a.file.workerPath != "" {
		parts = append(parts, `"`+a.file.workerPath+`"`)
	}
	parts = append(parts, a.file.workerArguments...)
	return splitArgs(env.expand(strings.Join(parts, " ")))
}

// expand replaces every %NAME% by the variable's value, or removes it if there is no such variable.
func (e environment) expand(s string) string {
	return regexp.MustCompile(`%[^%]+%`).ReplaceAllStringFunc(s, func(ref string) string {
		value, _ := e.lookup(strings.Trim(ref, "%"))
		return value
	})
}

// splitArgs splits at spaces outside of double quotes, and removes the quotes.
func splitArgs(s string) []string {
	var args []string
	var arg strings.Builder
	quoted, started := false, false
	for _, c := range s {
		switch {
		case c == '"':
			quoted, started = !quoted, true
		case !quoted && (c == ' ' || c == '\t'):
			if started {
				args = append(args, arg.String())
			}
			arg.Reset()
			started = false
		default:
			arg.WriteRune(c)
			started = true
		}
	}
	if started {
		args = append(args, arg.String())
	}
	return args
}
