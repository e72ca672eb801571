package e2e_test

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/wait"
)

// TestLocal follows README.md's instructions, with both modes in which the host passes requests to the handler.
func TestLocal(t *testing.T) {
	t.Parallel()
	const setting = "AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest="
	for name, c := range map[string]struct {
		proxying string
		chunked  int // status of a chunked request, which only a proxying host passes on
	}{
		"proxied":   {"true", http.StatusOK},
		"forwarded": {"false", http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLocal(t, "-env", setting+c.proxying)
			t.Run("printed command", func(t *testing.T) { l.checkCommand(t) })
			t.Run("trace of the caller", func(t *testing.T) { l.checkTrace(t) })
			t.Run("keys", func(t *testing.T) { l.checkKeys(t) })
			t.Run("host", func(t *testing.T) { l.checkHost(t) })
			body := io.MultiReader(strings.NewReader(`{"userId":"a"}`))
			r, err := l.try(t.Context(), http.MethodPost, "/api/RegisterUser?code="+l.addresses.Key, body)
			if err != nil || r.status != c.chunked {
				t.Errorf("in chunks: got %d (%v), want %d", r.status, err, c.chunked)
			}
			t.Run("refusals of large bodies", func(t *testing.T) { l.checkLargeBodies(t) })
			t.Run("no key in telemetry", func(t *testing.T) { l.checkTelemetryForKey(t, false) })
		})
	}
}

// checkLargeBodies shows that the largest body is accepted, and that a refusal passes the host, which sends the whole
// body before it reads the answer.
func (l *localRun) checkLargeBodies(t *testing.T) {
	t.Helper()
	path := "/api/RegisterUser?code=" + l.addresses.Key
	body := `{"user":{"a":"` + strings.Repeat("a", maxBody-34) + `"},"userId":"large"}`
	r := l.call(t, http.MethodPost, path, body, "Content-Type: application/json")
	r.stored(t)
	r = l.call(t, http.MethodPost, path, body+" ", "Content-Type: application/json")
	r.problem(t, http.StatusRequestEntityTooLarge, "too-large", false, false)
	r = l.call(t, http.MethodPost, path, strings.Repeat("x", 8<<20), "Content-Type: application/json")
	r.problem(t, http.StatusBadRequest, "invalid-registration", false, false)
	r = l.call(t, http.MethodPost, path, body, "Content-Type: application/xml")
	r.problem(t, http.StatusUnsupportedMediaType, "unsupported-media-type", false, false)
}

// TestKeyInTelemetry shows why host.json's enableDependencyTracking is false, and that the test would detect the key.
func TestKeyInTelemetry(t *testing.T) {
	t.Parallel()
	l := startLocal(t, "-env", "AzureFunctionsJobHost__logging__applicationInsights__enableDependencyTracking=true")
	l.checkTelemetryForKey(t, true)
}

// checkCommand sends the request of the printed curl line, and checks the record and the telemetry.
func (l *localRun) checkCommand(t *testing.T) {
	t.Helper()
	command := l.says(t, `^Register a user: +curl -i '([^']+)' -d '([^']+)'$`)
	if want := l.addresses.URL + "?code=" + l.addresses.Key; command[1] != want {
		t.Fatalf("the command is for %s, want %s", command[1], want)
	}
	s := sending{begin: time.Now()}
	s.reply = l.call(t, http.MethodPost, strings.TrimPrefix(command[1], l.base), command[2],
		"Content-Type: application/x-www-form-urlencoded", "User-Agent: curl/8.5.0", "Accept: */*")
	s.end = time.Now()
	f := form{body: command[2], value: `{"userId":"` + user + `"}`, event: event{derived, "urn:auth0:unknown", receipt, user, nil, nil}}
	records := l.records(t)
	f.check(t, s, records)
	l.checkTelemetry(t, s.stored(t), at(t, records, s.stored(t)), user)
}

// checkTelemetry finds the registration by its user id, as people do, and its other items by the common ids.
func (l *localRun) checkTelemetry(t *testing.T, answer stored, r record, userID string) {
	t.Helper()
	items := l.page.wait(t, "userId", userID, 3)
	received := titled(t, items, "Received ID of the newly registered user: "+userID)
	place := regexp.MustCompile(`\d+`).FindAllString(answer.place(), -1)
	forwarded := titled(t, items, "Forwarded to "+answer.place())
	send := titled(t, items, "send "+topic)

	invocation := received.Properties["InvocationId"]
	request := l.hostsRequest(t, invocation)
	if request.Tags["ai.operation.id"] != received.Tags["ai.operation.id"] {
		t.Errorf("the host's request is of operation %q, the handler's items of %q", request.Tags["ai.operation.id"], received.Tags["ai.operation.id"])
	}
	common := map[string]string{"userId": userID, "eventId": answer.EventID, "source": r.header("ce_source"), "InvocationId": invocation}
	with := func(more ...string) map[string]string {
		all := maps.Clone(common)
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for title, c := range map[string]struct {
		item item
		want map[string]string
	}{
		"received":  {received, with("event", "received")},
		"forwarded": {forwarded, with("event", "forwarded", "topic", topic, "partition", place[0], "offset", place[1])},
		"send":      {send, with("topic", topic, "partition", place[0], "offset", place[1])},
	} {
		if diff := cmp.Diff(c.want, c.item.Properties); diff != "" {
			t.Errorf("properties of %s (-want +got):\n%s", title, diff)
		}
		if operation := c.item.Tags["ai.operation.id"]; operation != received.Tags["ai.operation.id"] || operation == "" {
			t.Errorf("operation id of %s: got %q", title, operation)
		}
	}
	data := send.Raw.Data.BaseData
	if data.Type != "Queue Message | kafka" || data.Target != "127.0.0.1/"+topic || !data.Success {
		t.Errorf("got dependency %+v", data)
	}
	if got, want := r.header("traceparent"), "00-"+received.Tags["ai.operation.id"]+"-"+data.ID+"-"; !strings.HasPrefix(got, want) {
		t.Errorf("traceparent: got %q in the record, want the operation and the dependency, %q", got, want)
	}
}

// hostsRequest waits for the host's row of a call.
func (l *localRun) hostsRequest(t *testing.T, invocation string) (request item) {
	t.Helper()
	wait.For(t, "the host's request", func() bool {
		items, _ := l.page.find(t, "text", invocation)
		for _, i := range items {
			if i.Raw.Data.BaseType == "RequestData" && i.Properties["InvocationId"] == invocation {
				request = i
				return true
			}
		}
		return false
	})
	return request
}

// checkTelemetryForKey searches all items of the host and the handler for the function's key. The last request with
// the key in its URL has already been reported.
func (l *localRun) checkTelemetryForKey(t *testing.T, held bool) {
	t.Helper()
	answer := l.registerWithKey(t, `{"userId":"auth0|key"}`, "X-Functions-Key: "+l.addresses.Key).stored(t) // it is in the URL, too
	received := titled(t, l.page.wait(t, "eventId", answer.EventID, 3), "Received ID of the newly registered user: auth0|key")
	l.hostsRequest(t, received.Properties["InvocationId"])
	var items []item
	if held {
		items = l.page.wait(t, "text", l.addresses.Key, 1)
	} else {
		items, _ = l.page.find(t, "text", l.addresses.Key)
	}
	if (len(items) > 0) != held {
		t.Errorf("the key is in %d items: %+v", len(items), items)
	}
	for _, i := range items {
		if i.Raw.Data.BaseType != "RemoteDependencyData" {
			t.Errorf("the key is not only in the host's row of a call: %+v", i)
		}
	}
}

// checkTrace shows that the registration and its record belong to the caller's trace.
func (l *localRun) checkTrace(t *testing.T) {
	t.Helper()
	const userID = "auth0|traced"
	answer := l.registerWithKey(t, `{"userId":"`+userID+`"}`, "Content-Type: application/json",
		"Traceparent: "+traceparent, "Tracestate: a=1", "X-Azure-Functions-InvocationId: mine").stored(t)
	r := at(t, l.records(t), answer)
	if got := r.header("traceparent"); !strings.HasPrefix(got, "00-"+traceID+"-") || got == traceparent || r.header("tracestate") != "a=1" {
		t.Errorf("got traceparent %q and tracestate %q in the record", got, r.header("tracestate"))
	}
	for _, i := range l.page.wait(t, "userId", userID, 3) {
		if i.Tags["ai.operation.id"] != traceID {
			t.Errorf("got operation id %q of %q, want the caller's", i.Tags["ai.operation.id"], i.title())
		}
	}
	l.checkTelemetry(t, answer, r, userID)
}

// checkKeys shows that requests without the key are refused.
func (l *localRun) checkKeys(t *testing.T) {
	t.Helper()
	before := len(l.records(t))
	right := "?code=" + l.addresses.Key
	for name, c := range map[string]struct {
		query   string
		headers []string
	}{
		"none":                       {"", nil},
		"empty":                      {"?code=", nil},
		"wrong":                      {right + "x", nil},
		"wrong header":               {"", []string{"X-Functions-Key: x"}},
		"wrong header and right key": {right, []string{"X-Functions-Key: x"}},
	} {
		r := l.call(t, http.MethodPost, "/api/RegisterUser"+c.query, `{"userId":"a"}`, c.headers...)
		if r.status != http.StatusUnauthorized || r.body != "" {
			t.Errorf("key %s: got %d %q, want 401 and nothing", name, r.status, r.body)
		}
	}
	l.call(t, http.MethodPost, "/api/RegisterUser", `{"userId":"a"}`, "X-Functions-Key: "+l.addresses.Key).stored(t)
	if got := len(l.records(t)) - before; got != 1 {
		t.Errorf("got %d records, want that of the right key", got)
	}
}

// checkHost checks which requests the host passes on and which it answers itself.
func (l *localRun) checkHost(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/api/RegisterUser", http.StatusNotFound},
		{http.MethodPost, "/api/Nothing", http.StatusNotFound},
		{http.MethodPost, "/API/registeruser/", http.StatusBadRequest},
		{http.MethodGet, "/api/Health", http.StatusOK},
		{http.MethodPost, "/api/Health", http.StatusNotFound},
	} {
		r := l.call(t, c.method, c.path+"?code="+l.addresses.Key, "")
		if r.status != c.status {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, r.status, c.status)
		}
		if c.status == http.StatusNotFound && r.body != "" {
			t.Errorf("%s %s: got %q, want nothing", c.method, c.path, r.body)
		}
	}
	// The refusal of a body that is too large arrives although the host sends all of it first.
	large := l.registerWithKey(t, `{"userId":"a"}`+strings.Repeat(" ", 40<<20), "Content-Type: application/json")
	large.problem(t, http.StatusRequestEntityTooLarge, "too-large", false, false)
	// The handler's answer arrives completely.
	r := l.registerWithKey(t, `{"userId":1}`, "Content-Type: application/json")
	r.problem(t, http.StatusBadRequest, "invalid-registration", false, false)
}
