package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"userrelay/test/wait"
)

const callersTrace = "0af7651916cd43dd8448eb211c80319c"

// TestLocal follows README.md's instructions: the printed command, what becomes of it, and Ctrl-C.
func TestLocal(t *testing.T) {
	t.Parallel()
	l, opened := startOpening(t)
	command := l.says(t, `^Register a user: +curl -i '([^']+)' -d '([^']+)'$`)
	if want := l.addresses.URL + "?code=" + l.addresses.Key; command[1] != want {
		t.Fatalf("the command is for %s, want %s", command[1], want)
	}
	a := l.register(t, command[2], "Content-Type: application/x-www-form-urlencoded", "User-Agent: curl/8.5.0",
		"Traceparent: 00-"+callersTrace+"-b7ad6b7169203331-01", "Tracestate: a=1", "X-Azure-Functions-InvocationId: mine").stored(t)
	l.checkTelemetry(t, a, "auth0|61de2511fd334200aa221dff")
	if r := l.call(t, http.MethodPost, "/api/RegisterUser", `{"userId":"a"}`); r.status != http.StatusUnauthorized || r.body != "" {
		t.Errorf("without the key: got %d %q, want 401 and nothing", r.status, r.body)
	}
	l.checkHost(t, http.StatusOK)
	l.checkOutbox(t)
	if items, _ := l.page.find(t, "text", l.addresses.Key); len(items) > 0 {
		t.Errorf("the key is in %+v", items)
	}
	if page := l.says(t, `^Look at it: +(\S+)$`)[1]; opened != "" {
		wait.For(t, "the page is opened", func() bool {
			text, _ := os.ReadFile(opened)
			return string(text) == page
		})
	}
	l.says(t, `^Ctrl-C ends it\.$`)
	l.checkInterrupt(t)
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
	signalGroup(t, l.cmd, syscall.SIGTERM)
	l.checkEnd(t)
}

// checkTelemetry finds the registration by its user id, as people do, and its other items by the common ids. All of them
// belong to the caller's trace, and so does the record.
func (l *localRun) checkTelemetry(t *testing.T, a answer, userID string) {
	t.Helper()
	record := at(t, l.records(t), a)
	if want := `{"userId":"` + userID + `"}`; string(record.Value) != want {
		t.Errorf("got record %s, want %s", record.Value, want)
	}
	received := l.page.titled(t, "userId", userID, "Received ID of the newly registered user: "+userID)
	forwarded := l.page.titled(t, "userId", userID, fmt.Sprintf("Forwarded to %s[%d]@%d", topic, a.Partition, a.Offset))
	send := l.page.titled(t, "userId", userID, "send "+topic)
	for _, i := range []item{received, forwarded, send} {
		if i.Properties["eventId"] != a.EventID || i.Properties["source"] != record.Header("ce_source") {
			t.Errorf("got another event than in %+v: %+v", a, i)
		}
	}
	invocation := received.Properties["InvocationId"]
	request := l.page.titled(t, "text", invocation, "RegisterUser")
	for _, i := range []item{received, forwarded, send, request} {
		if i.Tags["ai.operation.id"] != callersTrace || i.Properties["InvocationId"] != invocation {
			t.Errorf("got another operation than the caller's, or another invocation than in %+v: %+v", received, i)
		}
	}
	got, want := record.Header("traceparent"), "00-"+callersTrace+"-"+send.Raw.Data.BaseData.ID+"-"
	if !strings.HasPrefix(got, want) || record.Header("tracestate") != "a=1" {
		t.Errorf("got traceparent %q in the record, want the trace and the dependency, %q; tracestate %q", got, want, record.Header("tracestate"))
	}
}

// checkHost checks which requests the host passes on and which it answers itself, and bodies in chunks, which only a
// proxying host passes on. Refusals of large bodies arrive although the host sends all of them first.
func (l *localRun) checkHost(t *testing.T, chunked int) {
	t.Helper()
	for request, status := range map[string]int{
		"GET /api/RegisterUser": http.StatusNotFound, "POST /api/Nothing": http.StatusNotFound, "POST /api/Health": http.StatusNotFound,
		"POST /API/registeruser/": http.StatusBadRequest,
	} {
		method, path, _ := strings.Cut(request, " ")
		if r := l.call(t, method, path+"?code="+l.addresses.Key, ""); r.status != status || (r.body == "") != (status == http.StatusNotFound) {
			t.Errorf("%s: got %d %q, want %d", request, r.status, r.body, status)
		}
	}
	if !l.healthy(t) {
		t.Error("the function Health does not answer")
	}
	r, err := l.try(t.Context(), http.MethodPost, l.function, io.MultiReader(strings.NewReader(`{"userId":"a"}`)))
	if err != nil || r.status != chunked {
		t.Errorf("in chunks: got %d (%v), want %d", r.status, err, chunked)
	}
	const maxBody = 16 << 20
	largest := `{"user":{"a":"` + strings.Repeat("a", maxBody-34) + `"},"userId":"large"}`
	l.register(t, largest, "Content-Type: application/json").stored(t)
	r = l.register(t, largest+" ", "Content-Type: application/json")
	if a := r.read(t, http.StatusRequestEntityTooLarge, "application/problem+json"); a.Problem != "urn:userrelay:problem:too-large" {
		t.Errorf("too large: got %s", r.body)
	}
}

// checkOutbox stops and restarts the broker: registrations that were answered 202 are soon in the topic, once, and
// telemetry has all their steps.
func (l *localRun) checkOutbox(t *testing.T) {
	t.Helper()
	l.switchBroker(t, "false")
	ids := map[string]string{"auth0|out-1": "", "auth0|out-2": "", "auth0|out-3": ""}
	for user := range ids {
		ids[user] = l.register(t, `{"userId":"`+user+`","tenant":"acme"}`).kept(t)
	}
	l.switchBroker(t, "true")
	waitDrained(t, l.addresses.Outbox.ConnectionString)
	records := l.records(t)
	for user, id := range ids {
		got := recordsOf(records, user)
		if len(got) != 1 || got[0].Header("ce_id") != id || got[0].Header("ce_source") != "urn:auth0:acme" {
			t.Errorf("%s, event %s: got %+v, want one record", user, id, got)
		}
		for _, events := range [][]string{{"received"}, {"outboxed"}, {"drained", "withdrawn"}} {
			l.page.wait(t, "eventId", id, events[0], func(i item) bool { return slices.Contains(events, i.Properties["event"]) })
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
