package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

// TestOutage makes the broker unavailable, before the handler starts and while it runs, and available again: every
// answer tells the sender to try again, the host's probe is answered, and the handler needs no restart. Lines below a
// warning go to stdout and the others to stderr, where the Functions host logs every line as an error.
func TestOutage(t *testing.T) {
	t.Parallel()
	azure := []string{"WEBSITE_SITE_NAME=app", telemetryAt("http://127.0.0.1:9")}
	for _, c := range []struct {
		name     string
		settings []string
		line     string // pattern of console lines, with a verb for the levels
		events   bool   // a line for every event
	}{
		{"in text", nil, `level=(?:%s) msg=.*`, true},
		{"in Azure", azure, `\{"time":"[^"]+","level":"(?:%s)","msg":".*\}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			kafka.Set(t, faultproxy.Faults{Refuse: true})
			h := startHandler(t, append(c.settings, kafka.setting(), "LOG_LEVEL=debug")...)
			var answers []answer
			for _, outage := range []faultproxy.Faults{{Refuse: true}, {BlackHole: true}} {
				kafka.Set(t, outage)
				h.duringOutage(t)
				kafka.Set(t, faultproxy.Faults{})
				answers = append(answers, h.registerSoon(t, `{"userId":"after"}`))
				wait.For(t, "health", func() bool { return h.healthy(t) })
			}
			records := kafka.records(t)
			for _, a := range answers {
				at(t, records, a)
			}
			h.interrupt(t)
			h.checkConsole(t, c.line, c.events)
		})
	}
}

// duringOutage checks the handler's answers while the broker is unavailable.
func (h *handlerRun) duringOutage(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for range 4 {
		all.Go(func() {
			r, err := h.try(t.Context(), http.MethodPost, "/api/RegisterUser", strings.NewReader(`{"userId":"during"}`))
			if after := r.header.Get("Retry-After"); err != nil || r.status != http.StatusServiceUnavailable || after != "1" && after != "2" {
				t.Errorf("got %+v (%v), want 503, Retry-After 1 or 2", r, err)
			}
		})
	}
	wait.For(t, "health", func() bool {
		r := h.call(t, http.MethodGet, "/api/Health", "")
		return r.status == http.StatusServiceUnavailable && r.body == `{"status":"degraded"}`
	})
	if r := h.call(t, http.MethodGet, "/", ""); r.status != http.StatusOK {
		t.Errorf("the host's probe: got %d, want 200", r.status)
	}
}

// checkConsole checks the streams after an outage.
func (h *handlerRun) checkConsole(t *testing.T, line string, events bool) {
	t.Helper()
	for _, stream := range []struct{ text, levels, event string }{
		{h.stdout.String(), "DEBUG|INFO", "Forwarded to user-events["},
		{h.stderr.String(), "WARN|ERROR", "Not stored"},
	} {
		if !regexp.MustCompile("^(?:" + fmt.Sprintf(line, stream.levels) + "\n)+$").MatchString(stream.text) {
			t.Errorf("got %s, want only lines of the levels %s", stream.text, stream.levels)
		}
		if strings.Contains(stream.text, stream.event) != events {
			t.Errorf("a line %q: got %t, want %t", stream.event, !events, events)
		}
	}
}

// TestSecrets shows that no output, answer or telemetry item contains a part of a profile, a secret of the settings or
// a key of a request, whatever fails.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, c := range []struct {
		mechanism, password string // of the broker
		status              int
	}{
		{"SCRAM-SHA-256", secret, http.StatusOK},
		{"PLAIN", "another", http.StatusServiceUnavailable},
	} {
		t.Run(c.mechanism, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t, kfake.EnableSASL(), kfake.Superuser(c.mechanism, "user", c.password))
			telemetry, setting := startTelemetry(t)
			h := startHandler(t, kafka.setting(), setting,
				"RECORD_PROFILE=full", "AZURE_FUNCTIONS_ENVIRONMENT=Development", "LOG_LEVEL=debug",
				"KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM="+c.mechanism, "KAFKA_SASL_USERNAME=user", "KAFKA_SASL_PASSWORD="+secret)
			answers := h.tellSecrets(t, c.status)
			kafka.Set(t, faultproxy.Faults{Refuse: true})
			answers += h.tellSecrets(t, http.StatusServiceUnavailable)
			h.call(t, http.MethodGet, "/api/Health", "")
			h.register(t, `{"userId":"auth0|last"}`)
			h.interrupt(t) // sends the telemetry that waits

			for _, text := range []string{"auth0|1", "auth0|last"} {
				if items, _ := telemetry.find(t, "text", text); len(items) == 0 {
					t.Errorf("no telemetry of %q has come", text)
				}
			}
			_, items := telemetry.find(t, "text", "")
			for place, text := range map[string]string{
				"stdout": h.stdout.String(), "stderr": h.stderr.String(), "telemetry": items, "answers": answers,
			} {
				for _, word := range []string{"pr1vate", "15550100", secret} {
					if strings.Contains(text, word) {
						t.Errorf("%q is in %s: %s", word, place, text)
					}
				}
			}
		})
	}
}

// tellSecrets registers a user with a profile, sends the profile in refused forms, sends keys, and returns all
// answers.
func (h *handlerRun) tellSecrets(t *testing.T, status int) string {
	t.Helper()
	var answers strings.Builder
	const private = `{"user_id":"auth0|1","email":"pr1vate@example.com","phone_number":"+15550100-pr1vate","user_metadata":{"pr1vate":"pr1vate"}}`
	for _, c := range []struct {
		body, contentType string
		status            int
	}{
		{`{"userId":"auth0|1","user":` + private + `}`, "text/plain", status},
		{private, "application/json", status},
		{`{"specversion":"1.0","type":"user.created","id":"` + strconv.Itoa(status) + `","data":{"object":` + private + `}}`, "application/cloudevents+json", status},
		{`{"value":` + private + `}`, "application/x-www-form-urlencoded", status},
		{`{"userId":"` + strings.Repeat("pr1vate", 200) + `","user":` + private + `}`, "application/json", http.StatusBadRequest},
		{`{"userId":"auth0|1","user":` + private, "application/json", http.StatusBadRequest},
		{`{"userId":"auth0|1","eventId":"pr1vate 1","user":` + private + `}`, "application/json", http.StatusBadRequest},
		{private, "multipart/form-data; boundary=pr1vate", http.StatusUnsupportedMediaType},
	} {
		r := h.call(t, http.MethodPost, "/api/RegisterUser?code=s3cret", c.body, "Content-Type: "+c.contentType,
			"X-Functions-Key: s3cret", "Authorization: Bearer s3cret", "Cookie: a=s3cret", "User-Agent: s3cret")
		if r.status != c.status {
			t.Errorf("%s: got %d %q, want %d", c.body, r.status, r.body, c.status)
		}
		fmt.Fprintln(&answers, r.header, r.body)
	}
	return answers.String()
}
