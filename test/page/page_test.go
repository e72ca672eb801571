// Package page tests the local page as people use it: everything runs on this machine, and Chromium shows the page.
package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/local/portal"
	"userrelay/test/localrun"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/skip"
)

const (
	root     = "../.." // the project's folder, from here
	howTo    = "needs Node 20, Chromium, and `npm ci` in test/page"
	patience = 8 * time.Minute // for all of it; a minute on a busy machine, once everything is built
	many     = 5000            // registrations of the benchmark
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
	skip.For(tb, howTo)
	return tools{}
}

// poison puts a message into the poison queue, as the handler does with an unreadable one.
func poison(t *testing.T, a localrun.Addresses, text string) {
	t.Helper()
	message := must.Get[[]byte](t)(json.Marshal(map[string]string{
		"reason": "no event", "message": base64.StdEncoding.EncodeToString([]byte(text)), "poisonedtime": time.Now().UTC().Format(time.RFC3339),
	}))
	queue := queuetest.Make(t, a.Outbox.ConnectionString, a.Outbox.Poison)
	queuetest.Put(t, queue, base64.StdEncoding.EncodeToString(message))
}

// start runs the program and waits until everything answers.
func start(t *testing.T, program, port, data string) *localrun.Stack {
	t.Helper()
	return localrun.Start(t, program, nil, "-page", port, "-key", "test-key", "-data", data)
}

// instructions are page.mjs's argument.
func instructions(t *testing.T, with tools, s *localrun.Stack) string {
	t.Helper()
	wanted := map[string]string{
		"page": s.Page, "function": s.URL + "?code=" + s.Key, "chromium": with.chromium,
		"curl": "curl -i '" + s.URL + "?code=" + s.Key + `' -d '{"userId":"auth0|61de2511fd334200aa221dff"}'`,
	}
	if *screenshot {
		wanted["screenshots"] = must.Get[string](t)(filepath.Abs(filepath.Join(root, "docs")))
	}
	return string(must.Get[[]byte](t)(json.Marshal(wanted)))
}

func TestPage(t *testing.T) {
	with := find(t)
	program, data := filepath.Join(t.TempDir(), "local.exe"), t.TempDir() // a name that all systems run
	if err := localrun.Build(t.Context(), program); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	running := start(t, program, "0", data)
	port := running.Page[strings.LastIndexByte(running.Page, ':')+1:]

	browser := exec.CommandContext(ctx, with.node, "page.mjs", instructions(t, with, running))
	browser.Stderr = t.Output()
	lines := must.Get[io.ReadCloser](t)(browser.StdoutPipe())
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
			running.Stop()
		case "start":
			running = start(t, program, port, data)
		case "poison":
			poison(t, running.Addresses, line.Text)
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

// BenchmarkPage measures the page with 5,000 registrations in Chromium: a key that moves in the list, and a search,
// from the event to the next frame.
//
//	go test -run '^$' -bench . ./test/page
func BenchmarkPage(b *testing.B) {
	with := find(b)
	p := must.Get[*portal.Portal](b)(portal.Start(b.Context(), portal.Config{}))
	defer p.Close()
	server := httptest.NewServer(p.Handler())
	defer server.Close()
	fill(b, server.URL)
	text := must.Get[[]byte](b)(json.Marshal(map[string]any{"page": server.URL, "chromium": with.chromium, "rows": many, "times": 100}))
	for b.Loop() {
		out := must.Get[[]byte](b)(exec.CommandContext(b.Context(), with.node, "bench.mjs", string(text)).Output())
		var took map[string]float64 // ms
		if err := json.Unmarshal(out, &took); err != nil {
			b.Fatal(err)
		}
		for name, ms := range took {
			b.ReportMetric(ms, name+"-ms")
		}
	}
}

// fill sends the telemetry of the registrations.
func fill(b *testing.B, url string) {
	b.Helper()
	now := time.Now()
	var body bytes.Buffer
	for i := range many {
		at := now.Add(-time.Duration(i) * time.Second)
		for j, event := range []string{"received", "forwarded"} {
			_, _ = fmt.Fprintf(&body, `{"name":"Message","time":%q,"tags":{"ai.operation.id":"%032x"},"data":{"baseType":"MessageData","baseData":{"message":"m","severityLevel":1,`+
				`"properties":{"event":%q,"userId":"auth0|%024x","eventId":"a0pur_%032x","InvocationId":"i-%d","topic":"user-events","partition":"1","offset":"%d"}}}}`+"\n",
				at.Add(time.Duration(j)*time.Millisecond).Format(time.RFC3339Nano), i, event, i*7919, i, i, i)
		}
	}
	req := must.Get[*http.Request](b)(http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/v2.1/track", &body))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		b.Fatal(res.Status, err)
	}
}
