// Package page tests the local page as people use it: everything runs on this machine, and Chromium shows the page.
package page

import (
	"bufio"
	"context"
	"encoding/base64"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/queuetest"
)

const (
	root     = "../.." // the project's folder, from here
	howTo    = "needs Node 20, Chromium, and `npm ci` in test/page"
	patience = 8 * time.Minute // for all of it; a minute on a busy machine, once everything is built
)

// With -screenshot the test writes docs/page.png and docs/page-outage.png.
var screenshot = flag.Bool("screenshot", false, "write docs/page.png and docs/page-outage.png") //nolint:gochecknoglobals // a flag of the test

// tools are the programs that this test needs.
type tools struct{ node, chromium string }

// find returns the tools, or skips the test, which fails if CI is set.
func find(tb testing.TB) tools {
	tb.Helper()
	node, missing := exec.LookPath("node")
	var chromium string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	_, err := os.Stat("node_modules/playwright-core")
	if missing == nil && err == nil && chromium != "" {
		return tools{node, chromium}
	}
	if os.Getenv("CI") != "" { //nolint:forbidigo // a test has no main to read settings in
		tb.Fatal("CI is set and nothing may be skipped: " + howTo)
	}
	tb.Skip("skipped: " + howTo)
	return tools{}
}

// addresses is the content of the -ready file of go run ./local.
type addresses struct {
	URL    string `json:"url"`
	Key    string `json:"key"`
	Page   string `json:"page"`
	Outbox struct {
		ConnectionString string `json:"connectionString"`
		Poison           string `json:"poison"`
	} `json:"outbox"`
}

// poison puts a message into the poison queue, as the handler does with an unreadable one.
func (a addresses) poison(t *testing.T, text string) {
	t.Helper()
	message, err := json.Marshal(map[string]string{
		"reason": "no event", "message": base64.StdEncoding.EncodeToString([]byte(text)), "poisonedtime": time.Now().UTC().Format(time.RFC3339),
	})
	if err != nil {
		t.Fatal(err)
	}
	queue := queuetest.Make(t, a.Outbox.ConnectionString, a.Outbox.Poison)
	queuetest.Put(t, queue, base64.StdEncoding.EncodeToString(message))
}

// stack is a running go run ./local.
type stack struct {
	addresses
	stop func()
}

// start runs the program and waits until everything answers.
func start(ctx context.Context, t *testing.T, program, port, data string) *stack {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	ctx, cancel := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, program, "-port", "0", "-page", port, "-key", "test-key", "-data", data, "-ready", ready)
	command.Dir = root
	command.Stdout, command.Stderr = t.Output(), t.Output()
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // what ends it is told by its output
	}()
	s := &stack{stop: func() { cancel(); <-ended }}
	t.Cleanup(s.stop)

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(ready); err == nil {
			if err := json.Unmarshal(text, &s.addresses); err != nil {
				t.Fatal(err)
			}
			return s
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatal("the program ended before it was ready")
		case <-ctx.Done():
			t.Fatal("the program was not ready in time")
		}
	}
}

// build returns the program of go run ./local.
func build(ctx context.Context, t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "local.exe") // a name that all systems run
	command := exec.CommandContext(ctx, "go", "build", "-o", program, "./local")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// instructions are page.mjs's argument.
func instructions(t *testing.T, with tools, s *stack) string {
	t.Helper()
	wanted := map[string]string{
		"page": s.Page, "function": s.URL + "?code=" + s.Key, "chromium": with.chromium,
		"curl": "curl -i '" + s.URL + "?code=" + s.Key + `' -d '{"userId":"auth0|61de2511fd334200aa221dff"}'`,
	}
	if *screenshot {
		folder, err := filepath.Abs(filepath.Join(root, "docs"))
		if err != nil {
			t.Fatal(err)
		}
		wanted["screenshots"] = folder
	}
	text, err := json.Marshal(wanted)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPage(t *testing.T) {
	with := find(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	program := build(ctx, t)
	data := t.TempDir()
	running := start(ctx, t, program, "0", data)
	port := running.Page[strings.LastIndexByte(running.Page, ':')+1:]

	browser := exec.CommandContext(ctx, with.node, "page.mjs", instructions(t, with, running))
	browser.Stderr = t.Output()
	lines, err := browser.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	checks := 0
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		var line struct {
			Ask   string `json:"ask"`
			Text  string `json:"text"`
			Check string `json:"check"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, scanner.Text())
		}
		switch line.Ask {
		case "stop":
			running.stop()
		case "start":
			running = start(ctx, t, program, port, data)
		case "poison":
			running.poison(t, line.Text)
		default:
			checks++
			t.Run(strconv.Itoa(checks)+" "+line.Check, func(t *testing.T) {
				if line.Error != "" {
					t.Error(line.Error)
				}
			})
		}
	}
	if err := browser.Wait(); err != nil {
		t.Fatalf("node: %v", err)
	}
	if checks == 0 {
		t.Error("nothing was checked")
	}
}
