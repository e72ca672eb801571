package funchost_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/local/funchost"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

const (
	wireTime = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00`
	wireText = `"[^"]+"` // a string within a string
)

// metadata are the patterns of the metadata of a message without additional members.
func metadata() map[string]string {
	return map[string]string{
		"DequeueCount": "1", "ExpirationTime": wireTime, "Id": wireText, "InsertionTime": wireTime, "NextVisibleTime": wireTime,
		"PopReceipt": wireText, "sys": "",
	}
}

// TestInvocation compares the whole request with the real host's.
func TestInvocation(t *testing.T) {
	t.Parallel()
	const object = ` {"id":"42","n":7,"f":1.5,"dequeueCount":9,"list":[1],"nothing":null,"yes":true,"no":false,"at":"2026-01-02T03:04:05.6Z",` +
		`"inner":{"a":"b"},"jobTrigger":"x","quote":"\"ü"}`
	replaced := metadata()
	maps.Copy(replaced, map[string]string{
		"Id": `"42"`, "n": `"7"`, "f": `"1\.5"`, "DequeueCount": `"9"`, "yes": `"True"`, "no": `"False"`,
		"at": `"01/02/2026 03:04:05"`, "inner": "", "quote": `"\\"ü"`,
	})
	for _, tt := range []struct {
		name, dataType, message string
		data                    string
		metadata                map[string]string // patterns of strings; "" for objects
	}{
		{"text", "", "plain hello", `"plain hello"`, metadata()},
		{"empty", "", "", `""`, metadata()},
		{"not UTF-8", "", "a\xff", "\"a\uFFFD\"", metadata()},
		{"JSON that is no object", "string", `["id"]`, `"[\"id\"]"`, metadata()},
		{"object", "string", object, string(must.Get[[]byte](t)(json.Marshal(object))), replaced},
		{"bytes", "binary", object, base64.StdEncoding.EncodeToString([]byte(object)), metadata()},
		{"no bytes", "Binary", "", "", metadata()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := queueApp(nil)
			if tt.dataType != "" {
				a.functions["Drain"] = drain(`,"dataType":"` + tt.dataType + `"`)
			}
			q := startQueues(t, a, "")
			q.put(t, tt.message)
			got := q.calls(t, 1)[0]
			if got.Method != http.MethodPost || got.URI != "/Drain" || !strings.HasPrefix(got.Host, "127.0.0.1:") {
				t.Errorf("%s %s at %s, want a POST of the function's name", got.Method, got.URI, got.Host)
			}
			if got.ContentLength != -1 || !slices.Equal(got.TransferEncoding, []string{"chunked"}) {
				t.Errorf("length %d, %q: want it chunked", got.ContentLength, got.TransferEncoding)
			}
			wantHeaders(t, got.Header, map[string]string{
				"Content-Type": "application/json; charset=utf-8", "User-Agent": `Azure-Functions-Host/4\.1037\.0\.0`,
				"X-Azure-Functions-Invocationid": uuid, "X-Azure-Functions-Hostversion": `4\.1037\.0\.0`, "Traceparent": "",
			})
			if d := cmp.Diff(map[string]any{"job": tt.data}, got.invocation.Data); d != "" {
				t.Errorf("data (-want +got)\n%s", d)
			}
			for name, value := range got.invocation.Metadata {
				pattern, known := tt.metadata[name]
				text, isText := value.(string)
				if !known || isText != (pattern != "") {
					t.Errorf("metadata %s: %v", name, value)
				} else if isText && !regexp.MustCompile("^"+pattern+"$").MatchString(text) {
					t.Errorf("metadata %s: %q, want %q", name, text, pattern)
				}
			}
			if len(got.invocation.Metadata) != len(tt.metadata) {
				t.Errorf("metadata %v, want %d members", got.invocation.Metadata, len(tt.metadata))
			}
			sys, _ := got.invocation.Metadata["sys"].(map[string]any)
			if len(sys) != 3 || sys["MethodName"] != "Drain" {
				t.Errorf("sys %v", sys)
			}
		})
	}
}

// TestInvocationAnswers shows the effect of the handler's answers on the message: with only one attempt, a failed
// message is poisoned.
func TestInvocationAnswers(t *testing.T) {
	t.Parallel()
	a := queueApp(map[string]any{"maxDequeueCount": 1})
	cfg, q := queueConfig(t, a, "")
	q.rig = start(t, cfg)
	poisoned := 0
	for i, tt := range []struct {
		name, tell string
		fails      bool
		says       string // on the console
	}{
		{"empty object", "", false, ""},
		{"whole result", `body={"Outputs":{"unknown":1},"Logs":["first line",2],"ReturnValue":{"a":1}}`, false, "first line"},
		{"names in other case", `body={"outputs":null,"LOGS":["other line"],"returnvalue":null}`, false, "other line"},
		{"unknown members", `body={"more":1}`, false, ""},
		{"created", "status=201", false, ""},
		{"charset", "type=application/json;+charset=utf-8", false, ""},
		{"text/json", "type=text/json", false, ""},
		{"more after the object", `body={}{`, false, ""},
		{"bad request", "status=400", true, "Drain. the handler answered 400"},
		{"server error", `status=500&body={"Logs":["lost line"]}`, true, "Drain. the handler answered 500"},
		{"unavailable", "status=503", true, "Drain. the handler answered 503"},
		{"redirect", "status=302&header=Location:/Elsewhere", true, "Drain. the handler answered 302"},
		{"plain text", "type=text/plain", true, "Content-Type is not application/json"},
		{"problem", "type=application/problem%2Bjson", true, "Content-Type is not application/json"},
		{"no type", "type=", true, "Content-Type is not application/json"},
		{"not JSON", "body={", true, "not a JSON object"},
		{"array", "body=[]", true, "not a JSON object"},
		{"number", "body=5", true, "not a JSON object"},
		{"string", `body="{}"`, true, "not a JSON object"},
		{"outputs of another kind", `body={"Outputs":[]}`, true, "Outputs is not an object"},
		{"logs of another kind", `body={"Logs":"x"}`, true, "Logs is not an array"},
		{"dropped connection", "drop=1000", true, "Drain. call the handler: EOF"},
		{"half an answer", "half=100", true, "Drain. read the handler's answer: unexpected EOF"},
	} {
		q.put(t, tt.tell)
		q.executed(t, i+1)
		outcome := "Succeeded"
		if tt.fails {
			outcome = "Failed"
			poisoned++
		}
		call := q.calls(t, i+1)[i]
		if !q.console.matches(`Executed 'Functions\.Drain' \(` + outcome + `, Id=` + call.Header.Get("X-Azure-Functions-Invocationid") + `, `) {
			t.Errorf("%s: not %s", tt.name, outcome)
		}
		if !q.console.has(tt.says) {
			t.Errorf("%s: the console does not say %q", tt.name, tt.says)
		}
		wait.For(t, tt.name+": the message's end", func() bool { return queuetest.Count(t, q.jobs) == 0 && queuetest.Count(t, q.poison) == poisoned })
	}
	if q.console.has("lost line") {
		t.Error("the logs of an answer that failed are shown")
	}
}

// TestInvocationHangs has answers that look like success but make the host kill the handler.
func TestInvocationHangs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, tell string }{
		{"nothing", "body="},
		{"nothing, and no type", "body=&type="},
		{"no content", "status=204"},
		{"null", "body=null"},
		{"nothing in chunks", "chunked=&body="},
		{"white space", "body=+%0A"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wait.LongEnough(t, "an answer", time.Second, func(limit time.Duration) bool { return hangs(t, tt.tell, limit) })
		})
	}
}

// hangs makes the handler answer a message, and says whether the invocation ended within the function's time limit.
func hangs(t *testing.T, tell string, limit time.Duration) (answered bool) {
	t.Helper()
	a := queueApp(map[string]any{"maxDequeueCount": 1})
	a.top["functionTimeout"] = clock(limit)
	q := startQueues(t, a, "")
	wait.For(t, "the handler", func() bool { return q.console.has("Worker process started") }) // this counts for the limit
	q.put(t, tell)
	q.executed(t, 1)
	if !q.console.has("with no JSON object") {
		return false
	}
	if q.console.count("Timeout value of "+limit.String()+" exceeded by function 'Functions.Drain'") != 1 || q.console.has("(Succeeded") {
		t.Error("the console does not say once that the function took too long, or says that it did not")
	}
	wait.For(t, "the message's end", func() bool { return queuetest.Count(t, q.jobs) == 0 && queuetest.Count(t, q.poison) == 1 })
	return true
}

// clock formats a duration for host.json.
func clock(d time.Duration) string {
	return fmt.Sprintf("00:%02d:%02d", d/time.Minute, d%time.Minute/time.Second)
}

// TestInvocationRedirects shows that a host which does not forward follows redirects.
func TestInvocationRedirects(t *testing.T) {
	t.Parallel()
	for status, method := range map[string]string{"302": http.MethodGet, "307": http.MethodPost} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			a := queueApp(nil)
			a.handler["enableProxyingHttpRequest"] = true
			cfg, q := queueConfig(t, a, "")
			cfg.Mode = funchost.Auto
			q.rig = start(t, cfg)
			q.put(t, "status="+status+"&header=Location:/Elsewhere")
			if got := q.calls(t, 2)[1]; got.URI != "/Elsewhere" || got.Method != method {
				t.Errorf("%s %s, want %s /Elsewhere", got.Method, got.URI, method)
			}
		})
	}
}

// TestInvocationTrace checks the trace context: the host creates one with Application Insights, and none without.
func TestInvocationTrace(t *testing.T) {
	t.Parallel()
	cfg, q := queueConfig(t, queueApp(nil), "")
	cfg.Insights = true
	q.rig = start(t, cfg)
	q.put(t, "")
	q.put(t, "")
	calls := q.calls(t, 2)
	for _, call := range calls {
		wantHeaders(t, call.Header, map[string]string{"Traceparent": "00-[0-9a-f]{32}-[0-9a-f]{16}-00"})
	}
	if one := calls[0].Header.Get("Traceparent"); one == calls[1].Header.Get("Traceparent") {
		t.Errorf("two invocations have the traceparent %s", one)
	}
}

// TestAppWithoutHTTP has an app without HTTP functions, which needs no mode for HTTP requests.
func TestAppWithoutHTTP(t *testing.T) {
	t.Parallel()
	a := queueApp(nil)
	clear(a.functions)
	a.functions["Drain"] = drain("")
	cfg, q := queueConfig(t, a, "")
	cfg.Mode = funchost.Auto
	q.rig = start(t, cfg)
	q.put(t, "x")
	q.calls(t, 1)
	if got := q.FunctionURL("Drain"); got != "" {
		t.Errorf("its URL is %s", got)
	}
	q.call(t, "POST", "/Drain", "{}").wantEmpty(t, http.StatusNotFound)
	q.call(t, "POST", "/api/Drain", "{}").wantEmpty(t, http.StatusNotFound)
}
