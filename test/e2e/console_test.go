package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"userrelay/test/recorder"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestStreams shows that lines below a warning go to stdout and the others to stderr, where the Functions host logs
// every line as an error. It also checks the lines for people.
func TestStreams(t *testing.T) {
	t.Parallel()
	const telemetry = "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=" + instrumentationKey + ";IngestionEndpoint=http://127.0.0.1:9/"
	for _, c := range []struct {
		name     string
		settings []string
		line     string // pattern with the level in it
		events   bool   // a line for every event
	}{
		{"without Application Insights", nil, `^level=(\w+) msg=`, true},
		{"on a developer's machine", []string{telemetry, "AZURE_FUNCTIONS_ENVIRONMENT=Development"}, `^level=(\w+) msg=`, true},
		{"in Azure", []string{telemetry, "WEBSITE_SITE_NAME=app"}, `^\{"time":"[^"]+","level":"(\w+)","msg":".*\}$`, false},
		{"in Azure without Application Insights", []string{"WEBSITE_SITE_NAME=app"}, `^\{"time":"[^"]+","level":"(\w+)","msg":".*\}$`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			h := startHandler(t, append(c.settings, kafka.setting(), "LOG_LEVEL=debug")...)
			h.register(t, `{"userId":"auth0|good"}`).stored(t)
			kafka.stop(t)
			if r := h.register(t, `{"userId":"auth0|bad"}`); r.status != http.StatusServiceUnavailable {
				t.Errorf("without a broker: got %d, want 503", r.status)
			}
			h.call(t, http.MethodGet, "/api/Health", "")
			h.interrupt(t)

			checkLevels(t, "stdout", h.stdout.String(), c.line, "DEBUG", "INFO")
			checkLevels(t, "stderr", h.stderr.String(), c.line, "WARN", "ERROR")
			for stream, words := range map[*recorder.Recorder][]string{
				h.stdout: {"Received ID of the newly registered user: auth0|good", "Forwarded to user-events[", "Received ID of the newly registered user: auth0|bad"},
				h.stderr: {"Not stored"},
			} {
				for _, w := range words {
					if strings.Contains(stream.String(), w) != c.events {
						t.Errorf("%q: got %t, want %t", w, !c.events, c.events)
					}
				}
			}
			if !strings.Contains(h.stderr.String(), "Kafka is away") {
				t.Error("stderr does not say that Kafka is away")
			}
		})
	}
}

func checkLevels(t *testing.T, stream, text, pattern string, levels ...string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		m := regexp.MustCompile(pattern).FindStringSubmatch(line)
		if m == nil || m[1] != levels[0] && m[1] != levels[1] {
			t.Errorf("%s: got %q, want a line of level %s", stream, line, strings.Join(levels, " or "))
		}
	}
}

// private is a profile whose values may be in the record only.
const private = `{"user_id":"auth0|1","email":"pr1vate@example.com","phone_number":"+15550100-pr1vate","name":"pr1vate","user_metadata":{"pr1vate":"pr1vate"}}`

// TestSecrets shows that no output, answer or telemetry item contains a part of a profile, a secret of the settings or
// a key of a request, whatever fails.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const (
		secret    = "s3cret"
		password  = "KAFKA_SASL_PASSWORD=" + secret
		plaintext = "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT"
	)
	for _, c := range []struct {
		name     string
		broker   []kfake.Opt
		settings []string
		outage   bool
		status   int
	}{
		{"stored", nil, nil, false, http.StatusOK},
		{"outage", nil, nil, true, http.StatusServiceUnavailable},
		{
			"logged in",
			[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "user", secret)},
			[]string{"KAFKA_SASL_MECHANISM=SCRAM-SHA-256", "KAFKA_SASL_USERNAME=user", password, plaintext},
			false, http.StatusOK,
		},
		{
			"login refused",
			[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "another")},
			[]string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=user", password, plaintext},
			false, http.StatusServiceUnavailable,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t, c.broker...)
			telemetry := startTelemetry(t)
			h := startHandler(t, append(c.settings, kafka.setting(), telemetry.setting(), "RECORD_PROFILE=full",
				"AZURE_FUNCTIONS_ENVIRONMENT=Development", "LOG_LEVEL=debug")...)
			if c.outage {
				kafka.stop(t)
			}
			answers := h.tellSecrets(t, c.status)
			h.call(t, http.MethodGet, "/api/Health", "")
			h.interrupt(t) // sends the telemetry that waits

			items, text := telemetry.find(t, "text", "auth0|1")
			if len(items) == 0 {
				t.Fatal("no telemetry has come")
			}
			_, all := telemetry.find(t, "text", "")
			for place, text := range map[string]string{
				"stdout": h.stdout.String(), "stderr": h.stderr.String(), "telemetry": text + all, "answers": answers,
			} {
				for _, word := range []string{"pr1vate", "example.com", "15550100", secret} {
					if strings.Contains(text, word) {
						t.Errorf("%q is in %s: %s", word, place, text)
					}
				}
			}
			if c.name == "stored" && !strings.Contains(kafka.records(t)[0].Value, "pr1vate@example.com") {
				t.Error("the profile is not in the record either")
			}
		})
	}
}

// tellSecrets registers a user with a profile, sends the profile in refused forms, sends keys, and returns all
// answers.
func (h *handlerRun) tellSecrets(t *testing.T, status int) string {
	t.Helper()
	var answers strings.Builder
	for body, want := range map[string]int{
		`{"userId":"auth0|1","user":` + private + `}`: status,
		private: status,
		`{"specversion":"1.0","type":"user.created","id":"1","data":{"object":` + private + `}}`: status,
		`{"userId":"` + strings.Repeat("pr1vate", 200) + `","user":` + private + `}`:             http.StatusBadRequest,
		`{"userId":"auth0|1","user":` + private:                                                  http.StatusBadRequest,
		`{"userId":"auth0|1","eventId":"pr1vate 1","user":` + private + `}`:                      http.StatusBadRequest,
	} {
		r := h.call(t, http.MethodPost, "/api/RegisterUser?code=s3cret", body,
			"X-Functions-Key: s3cret", "Authorization: Bearer s3cret", "Cookie: a=s3cret", "User-Agent: s3cret")
		if r.status != want {
			t.Errorf("got %d %q, want %d", r.status, r.body, want)
		}
		fmt.Fprintln(&answers, r.header, r.body)
	}
	return answers.String()
}
