package e2e_test

import (
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// TestLocal follows README.md's instructions: the printed command, what becomes of it, and Ctrl-C.
func TestLocal(t *testing.T) { //nolint:tparallel // one step follows the other
	t.Parallel()
	l, opened := startOpening(t)
	t.Run("printed command", func(t *testing.T) {
		command := l.says(t, `^Register a user: +curl -i '([^']+)' -d '([^']+)'$`)
		if want := l.addresses.URL + "?code=" + l.addresses.Key; command[1] != want {
			t.Fatalf("the command is for %s, want %s", command[1], want)
		}
		answer := l.register(t, command[2], "Content-Type: application/x-www-form-urlencoded", "User-Agent: curl/8.5.0").stored(t)
		l.checkTelemetry(t, answer, "auth0|61de2511fd334200aa221dff")
	})
	t.Run("trace of the caller", func(t *testing.T) { l.checkTrace(t) })
	t.Run("keys", func(t *testing.T) { l.checkKeys(t) })
	t.Run("host", func(t *testing.T) { l.checkHost(t, http.StatusOK) })
	t.Run("outbox", func(t *testing.T) { l.checkOutbox(t) })
	t.Run("no key in telemetry", func(t *testing.T) {
		if items, _ := l.page.find(t, "text", l.addresses.Key); len(items) > 0 {
			t.Errorf("the key is in %+v", items)
		}
	})
	if page := l.says(t, `^Look at it: +(\S+)$`)[1]; opened != "" {
		wait.For(t, "the page is opened", func() bool {
			text, _ := os.ReadFile(opened)
			return string(text) == page
		})
	}
	l.says(t, `^Ctrl-C ends it\.$`)
	l.checkEnd(t, func() { signalGroup(t, l.cmd, os.Interrupt) })
	if l.stderr.String() != "" || strings.Contains(l.stdout.String(), "signal") {
		t.Errorf("it says %s%s", l.stderr, l.stdout)
	}
}

// startOpening starts it with -open, and returns the file into which the page's address goes instead of into a browser.
func startOpening(t *testing.T) (l *localRun, opened string) {
	t.Helper()
	if runtime.GOOS != "linux" { // it takes another program there
		return startLocal(t), ""
	}
	dir := t.TempDir()
	opened = filepath.Join(dir, "opened")
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\nprintf %s \"$1\" > "+opened+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH") //nolint:forbidigo // the programs are this machine's
	l = beginLocal(t, []string{"PATH=" + dir + string(os.PathListSeparator) + path}, "-open")
	l.await(t)
	return l, opened
}

// TestLocalForwarding has the other mode in which the host passes requests to the handler, and ends by SIGTERM.
func TestLocalForwarding(t *testing.T) {
	t.Parallel()
	l := startLocal(t, "-env", "AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest=false")
	l.checkHost(t, http.StatusInternalServerError)
	l.checkEnd(t, func() { signalGroup(t, l.cmd, syscall.SIGTERM) })
}

// checkTelemetry finds the registration by its user id, as people do, and its other items by the common ids.
func (l *localRun) checkTelemetry(t *testing.T, answer stored, userID string) {
	t.Helper()
	record := at(t, l.records(t), answer)
	if want := `{"userId":"` + userID + `"}`; string(record.Value) != want {
		t.Errorf("got record %s, want %s", record.Value, want)
	}
	partition, offset := strconv.Itoa(int(answer.Partition)), strconv.FormatInt(answer.Offset, 10)
	received := l.page.titled(t, "userId", userID, "Received ID of the newly registered user: "+userID)
	forwarded := l.page.titled(t, "userId", userID, "Forwarded to "+topic+"["+partition+"]@"+offset)
	send := l.page.titled(t, "userId", userID, "send "+topic)

	invocation, operation := received.Properties["InvocationId"], received.Tags["ai.operation.id"]
	_, request := l.page.wait(t, "text", invocation, "the host's request", func(i item) bool {
		return i.Raw.Data.BaseType == "RequestData" && i.Properties["InvocationId"] == invocation
	})
	want := map[string]string{
		"event": "received", "userId": userID, "eventId": answer.EventID, "source": record.Header("ce_source"), "InvocationId": invocation,
	}
	if diff := cmp.Diff(want, received.Properties); diff != "" || operation == "" {
		t.Errorf("operation %q, properties of received (-want +got):\n%s", operation, diff)
	}
	maps.Copy(want, map[string]string{"event": "forwarded", "topic": topic, "partition": partition, "offset": offset})
	if diff := cmp.Diff(want, forwarded.Properties); diff != "" {
		t.Errorf("properties of forwarded (-want +got):\n%s", diff)
	}
	delete(want, "event")
	if diff := cmp.Diff(want, send.Properties); diff != "" {
		t.Errorf("properties of send (-want +got):\n%s", diff)
	}
	for _, i := range []item{request, forwarded, send} {
		if i.Tags["ai.operation.id"] != operation {
			t.Errorf("got another operation than %s: %+v", operation, i)
		}
	}
	data := send.Raw.Data.BaseData
	if data.Type != "Queue Message | kafka" || data.Target != "127.0.0.1/"+topic || !data.Success {
		t.Errorf("got dependency %+v", data)
	}
	if got, want := record.Header("traceparent"), "00-"+operation+"-"+data.ID+"-"; !strings.HasPrefix(got, want) {
		t.Errorf("traceparent: got %q in the record, want the operation and the dependency, %q", got, want)
	}
}

// checkTrace shows that the registration and its record belong to the caller's trace.
func (l *localRun) checkTrace(t *testing.T) {
	t.Helper()
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	answer := l.register(t, `{"userId":"auth0|traced"}`, "Traceparent: 00-"+traceID+"-b7ad6b7169203331-01", "Tracestate: a=1",
		"X-Azure-Functions-InvocationId: mine", "X-Functions-Key: "+l.addresses.Key).stored(t)
	l.checkTelemetry(t, answer, "auth0|traced")
	r := at(t, l.records(t), answer)
	if !strings.HasPrefix(r.Header("traceparent"), "00-"+traceID+"-") || r.Header("tracestate") != "a=1" {
		t.Errorf("got traceparent %q and tracestate %q in the record", r.Header("traceparent"), r.Header("tracestate"))
	}
}

// checkKeys shows that requests without the key are refused.
func (l *localRun) checkKeys(t *testing.T) {
	t.Helper()
	before := len(l.records(t))
	for _, c := range []struct{ path, header string }{
		{"/api/RegisterUser", "A: none"}, {l.path() + "x", "A: wrong"}, {l.path(), "X-Functions-Key: wrong, goes first"},
	} {
		if r := l.call(t, http.MethodPost, c.path, `{"userId":"a"}`, c.header); r.status != http.StatusUnauthorized || r.body != "" {
			t.Errorf("%s: got %d %q, want 401 and nothing", c.header, r.status, r.body)
		}
	}
	l.call(t, http.MethodPost, "/api/RegisterUser", `{"userId":"a"}`, "X-Functions-Key: "+l.addresses.Key).stored(t)
	if got := len(l.records(t)) - before; got != 1 {
		t.Errorf("got %d records, want that of the right key", got)
	}
}

// checkHost checks which requests the host passes on and which it answers itself, and bodies in chunks, which only a
// proxying host passes on. Refusals of large bodies arrive although the host sends all of them first.
func (l *localRun) checkHost(t *testing.T, chunked int) {
	t.Helper()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/api/RegisterUser", http.StatusNotFound},
		{http.MethodPost, "/api/Nothing", http.StatusNotFound},
		{http.MethodPost, "/API/registeruser/", http.StatusBadRequest},
		{http.MethodPost, "/api/Health", http.StatusNotFound},
	} {
		r := l.call(t, c.method, c.path+"?code="+l.addresses.Key, "")
		if r.status != c.status || (r.body == "") != (c.status == http.StatusNotFound) {
			t.Errorf("%s %s: got %d %q, want %d", c.method, c.path, r.status, r.body, c.status)
		}
	}
	if !l.healthy(t) {
		t.Error("the function Health does not answer")
	}
	r, err := l.try(t.Context(), http.MethodPost, l.path(), io.MultiReader(strings.NewReader(`{"userId":"a"}`)))
	if err != nil || r.status != chunked {
		t.Errorf("in chunks: got %d (%v), want %d", r.status, err, chunked)
	}
	const maxBody = 16 << 20
	largest := `{"user":{"a":"` + strings.Repeat("a", maxBody-34) + `"},"userId":"large"}`
	l.register(t, largest, "Content-Type: application/json").stored(t)
	l.register(t, largest+" ", "Content-Type: application/json").problem(t, http.StatusRequestEntityTooLarge, "too-large")
	l.register(t, largest, "Content-Type: application/xml").problem(t, http.StatusUnsupportedMediaType, "unsupported-media-type")
	l.register(t, strings.Repeat("x", 8<<20)).problem(t, http.StatusBadRequest, "invalid-registration")
}

// checkOutbox stops and restarts the broker: registrations that were answered 202 are soon in the topic, once, and
// telemetry has all their steps.
func (l *localRun) checkOutbox(t *testing.T) {
	t.Helper()
	l.switchBroker(t, "false")
	users := []string{"auth0|out-1", "auth0|out-2", "auth0|out-3"}
	ids := map[string]string{}
	for _, user := range users {
		ids[user] = l.register(t, `{"userId":"`+user+`","tenant":"acme"}`).kept(t).EventID
	}
	l.switchBroker(t, "true")
	queue := queuetest.Open(t, l.addresses.Outbox.ConnectionString, l.addresses.Outbox.Queue)
	wait.For(t, "the outbox is empty", func() bool { return queuetest.Count(t, queue) == 0 })
	records := l.records(t)
	for _, user := range users {
		if n := copies(records, user); n != 1 {
			t.Errorf("%s is in the topic %d times", user, n)
		}
		for _, events := range [][]string{{"received"}, {"outboxed"}, {"drained", "withdrawn"}} {
			l.page.wait(t, "eventId", ids[user], events[0], func(i item) bool { return slices.Contains(events, i.Properties["event"]) })
		}
	}
	for _, r := range records {
		if id, ok := ids[string(r.Key)]; ok && (id != r.Header("ce_id") || r.Header("ce_source") != "urn:auth0:acme") {
			t.Errorf("got record %+v", r)
		}
	}
}

func (l *localRun) switchBroker(t *testing.T, running string) {
	t.Helper()
	state := `{"running":` + running + `}`
	if r := l.page.call(t, http.MethodPut, "/broker", state); r.status != http.StatusOK || r.body != state {
		t.Fatalf("switch the broker: got %d %q, want 200 %q", r.status, r.body, state)
	}
}
