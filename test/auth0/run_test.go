package auth0

import (
	"bufio"
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/go-json-experiment/json"
)

// actionRun is a run of an Action.
type actionRun struct {
	failed chan int // status of each attempt that failed, 0 for none
	ended  chan struct{}

	logs  []string // once ended
	threw string   // once ended; "" where it returned
}

// actionNode is the Node for Actions: Auth0's if installed, otherwise the machine's.
func actionNode(t *testing.T) string {
	t.Helper()
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		return node(t)
	}
	return node22(t)
}

// startAction starts an Action with an event and secrets. speed is the speed of its clock.
func startAction(t *testing.T, code string, event, secrets map[string]any, speed float64, env ...string) *actionRun {
	t.Helper()
	event = maps.Clone(event)
	event["secrets"] = secrets
	argument, err := json.Marshal(map[string]any{"code": code, "event": event, "speed": speed})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	command := exec.CommandContext(ctx, actionNode(t), "run-action.mjs", string(argument))
	command.Env = append(environment(), env...)
	command.Stderr = t.Output()
	lines, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	run := &actionRun{failed: make(chan int, 100), ended: make(chan struct{})}
	go func() {
		defer close(run.ended)
		defer cancel()
		run.read(t, bufio.NewScanner(lines))
		if err := command.Wait(); err != nil {
			t.Errorf("node: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-run.ended })
	return run
}

// read reads the output of the Action's process.
func (a *actionRun) read(t *testing.T, lines *bufio.Scanner) {
	t.Helper()
	whole := false
	for lines.Scan() {
		var line struct {
			Failed   *int   `json:"failed"`
			Log      string `json:"log"`
			Threw    string `json:"threw"`
			Returned bool   `json:"returned"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%v: %s", err, lines.Text())
		}
		switch {
		case line.Failed != nil:
			a.failed <- *line.Failed
		case line.Log != "":
			a.logs = append(a.logs, line.Log)
		default:
			a.threw, whole = line.Threw, line.Returned || line.Threw != ""
		}
	}
	if !whole {
		t.Error("the Action's process did not tell how it ended")
	}
}

// runAction runs this project's Action to its end, and returns its log after it returned or threw.
func runAction(t *testing.T, event, secrets map[string]any, speed float64, env ...string) (logged, threw string) {
	t.Helper()
	a := startAction(t, actionCode, event, secrets, speed, env...)
	<-a.ended
	return a.line(t), a.threw
}

// line returns the single log line of an Action.
func (a *actionRun) line(t *testing.T) string {
	t.Helper()
	switch {
	case len(a.logs) == 1 && a.threw == "":
		return a.logs[0]
	case len(a.logs) > 0 || a.threw == "":
		t.Errorf("it logged %q and threw %q, want one line or an error", a.logs, a.threw)
	}
	return ""
}

// event is a fixture of the Action, without secrets.
func event(t *testing.T, name string) (e map[string]any) {
	t.Helper()
	if err := json.Unmarshal(read(t, filepath.Join(sources, "testdata", "events", name+".json")), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// userOf is the user of an event.
func userOf(t *testing.T, event map[string]any) (user map[string]any, id string) {
	t.Helper()
	user, _ = event["user"].(map[string]any)
	id, ok := user["user_id"].(string)
	if !ok {
		t.Fatalf("no user in %v", event)
	}
	return user, id
}

// matches checks a line, and returns the parts of the expression.
func matches(t *testing.T, line, expression string) []string {
	t.Helper()
	match := regexp.MustCompile(`^` + expression + `$`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("got %q, want %s", line, expression)
	}
	return match
}
