package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"userrelay/handler/outbox"
	"userrelay/test/faultproxy"
	"userrelay/test/must"
	"userrelay/test/queuetest"
)

const noBroker = "KAFKA_BROKERS=127.0.0.1:9"

// TestCommandLine checks a run's output, its stream, and the exit code. All mistakes are reported at once, on separate
// lines and together on the last line. No value is printed.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	takenPort := "FUNCTIONS_CUSTOMHANDLER_PORT=" + must.Get[*url.URL](t)(url.Parse(taken.URL)).Port()
	check := []string{"-check"}
	for _, c := range []struct {
		name           string
		env, args      []string
		code           int
		stdout, stderr string // patterns of all that is printed
	}{
		{"valid", []string{noBroker}, check, 0, `settings: valid\n`, ``},
		{"wrong", []string{"KAFKA_BROKERS=v4lue", "KAFKA_TOPIC=v4lue/", "LOG_LEVEL=v4lue"}, check, 2, ``, `KAFKA_BROKERS: .*\nKAFKA_TOPIC: .*\nLOG_LEVEL: .*\n3 settings are wrong: KAFKA_BROKERS: .* KAFKA_TOPIC: .* LOG_LEVEL: .*\n`},
		{"looks wrong", []string{noBroker, "KAFKA_USERNAME=v4lue"}, check, 0, `WARN  KAFKA_USERNAME: .*KAFKA_SASL_USERNAME meant\?\nsettings: valid\n`, ``},
		{"wrong and looks wrong", []string{"KAFKA_BROKER=v4lue"}, check, 2, ``, `WARN  KAFKA_BROKER: .*KAFKA_BROKERS meant\?\nKAFKA_BROKERS: is missing.*\n1 setting is wrong: KAFKA_BROKERS: is missing.*\n`},
		{"wrong telemetry", []string{noBroker, "APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"}, check, 2, ``, `APPLICATIONINSIGHTS_CONNECTION_STRING: .*\n1 setting is wrong: .*\n`},
		{"no identity", []string{noBroker, "KAFKA_SASL_MECHANISM=OAUTHBEARER", "AZURE_TOKEN_CREDENTIALS=v4lue"}, check, 2, ``, `KAFKA_SASL_MECHANISM: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"half an identity", []string{noBroker, "OUTBOX=on", "AzureWebJobsStorage__accountName=abc", "AzureWebJobsStorage__credential=workloadidentity"}, check, 2, ``, `AzureWebJobsStorage__credential: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"no identity for telemetry", append(noIdentity(), noBroker), check, 2, ``, `APPLICATIONINSIGHTS_AUTHENTICATION_STRING: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"started without the host", []string{noBroker}, nil, 2, ``, `(?s).*\n\d settings? (?:is|are) wrong: .*FUNCTIONS_CUSTOMHANDLER_PORT: is missing[^\n]*func start[^\n]*\n`},
		{"unsound port", []string{noBroker, "FUNCTIONS_CUSTOMHANDLER_PORT=65536"}, nil, 2, ``, `(?s).*\n\d settings? (?:is|are) wrong: .*FUNCTIONS_CUSTOMHANDLER_PORT: [^\n]*\n`},
		{"port taken", []string{noBroker, takenPort}, nil, 1, ``, `(?:.*\n)*.*listen.*in use.*\n`},
		{"-version", nil, []string{"-version"}, 0, `userrelay \S+\n`, ``},
		{"-help", nil, []string{"-help"}, 0, ``, `(?s).*-check.*-version.*`},
		{"unknown flag", nil, []string{"-nonsense"}, 2, ``, `(?s).*-nonsense.*`},
		{"argument", []string{noBroker}, []string{"check"}, 2, ``, `.*-help\n`},
		{"-poison of a kind unknown", []string{noBroker}, []string{"-poison", "eat"}, 2, ``, `-poison must be list or resend.*\n`},
		{"-poison without outbox", []string{noBroker}, []string{"-poison", "list"}, 2, ``, `settings: OUTBOX is off.*\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runHandler(t, c.env, c.args...)
			if code != c.code || strings.Contains(stdout+stderr, "v4lue") {
				t.Errorf("got code %d, want %d, and no value", code, c.code)
			}
			for text, pattern := range map[string]string{"stdout: " + stdout: c.stdout, "stderr: " + stderr: c.stderr} {
				if !regexp.MustCompile("^std...: (?:" + pattern + ")$").MatchString(text) {
					t.Errorf("got %q, want %q", text, pattern)
				}
			}
		})
	}
}

// noIdentity are settings of a platform without the requested kind of identity for telemetry, which is detected only
// when the identity is set up.
func noIdentity() []string {
	return []string{
		"APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=" + instrumentationKey,
		"APPLICATIONINSIGHTS_AUTHENTICATION_STRING=Authorization=AAD;ClientId=" + instrumentationKey,
		"IDENTITY_ENDPOINT=http://127.0.0.1:9", "IDENTITY_HEADER=v4lue", "IDENTITY_SERVER_THUMBPRINT=v4lue",
	}
}

// TestWrongTelemetry shows that a handler that cannot send telemetry logs that once, and stores registrations.
func TestWrongTelemetry(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	for named, settings := range map[string][]string{
		"APPLICATIONINSIGHTS_CONNECTION_STRING: ":            {"APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"},
		"setting=APPLICATIONINSIGHTS_AUTHENTICATION_STRING ": noIdentity(),
	} {
		h := startHandler(t, append(settings, kafka.setting())...)
		h.register(t, `{"userId":"auth0|1"}`).stored(t)
		h.interrupt(t)
		stdout, stderr := h.stdout.String(), h.stderr.String()
		if !strings.HasPrefix(stderr, "level=WARN ") || strings.Count(stderr, named) != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("got %q, want one warning that names %s", stderr, named)
		}
		if !strings.Contains(stdout, "Forwarded to user-events[") || strings.Contains(stdout+stderr, "v4lue") {
			t.Errorf("without telemetry the console does not tell of the registration, or a value is printed: %q", stdout)
		}
	}
}

// TestCheckConnect shows that -check -connect distinguishes what can be reached and what cannot, and names the setting
// to check.
func TestCheckConnect(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, storage := startQueues(t)
	env := []string{kafka.setting(), "OUTBOX=on", storage}
	check := func(code int, env []string, says ...string) {
		t.Helper()
		got, stdout, stderr := runHandler(t, env, "-check", "-connect")
		if got != code || stderr != "" || (code == 0) == strings.Contains(stdout, "FAIL") || strings.Contains(stdout, "c2VjcmV0") {
			t.Errorf("got code %d, stdout %q, stderr %q, want %d", got, stdout, stderr, code)
		}
		for _, want := range says {
			if !strings.Contains(stdout, want) {
				t.Errorf("got %q, want %q in it", stdout, want)
			}
		}
	}
	_, telemetry := startTelemetry(t)
	check(0, append(env, telemetry), "ok    outbox: The queue", "ok    outbox: Nothing waits.", "ok    telemetry: ")
	if records := kafka.records(t); len(records) > 0 {
		t.Errorf("the check has left %d records", len(records))
	}
	for _, name := range []string{outbox.QueueName, outbox.QueueName + "-poison"} {
		queue := queuetest.Open(t, queues.ConnectionString(), name)
		_, _ = queue.Create(t.Context(), nil) // the handler may have made it
		queuetest.Put(t, queue, waiting(t))
	}
	check(0, env, "WARN  outbox: About 1 messages wait, the oldest visible one since 20", "WARN  outbox: About 1 messages are in the poison queue", "WARN  telemetry: ")
	check(0, []string{kafka.setting()}, "WARN  outbox: Switched off")
	kafka.Set(t, faultproxy.Faults{Refuse: true})
	check(1, append(env, wrongKey(queues.URL()), telemetryAt("http://127.0.0.1:9")), "KAFKA_BROKERS", "FAIL  outbox: ", "AuthenticationFailed", "AccountKey",
		"FAIL  telemetry: ", "APPLICATIONINSIGHTS_CONNECTION_STRING")
}

// waiting is a message of the outbox.
func waiting(t *testing.T) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString(must.Get[[]byte](t)(os.ReadFile("testdata/message.json")))
}

func wrongKey(url string) string {
	return "AzureWebJobsStorage=AccountName=devstoreaccount1;AccountKey=c2VjcmV0;QueueEndpoint=" + url
}

// TestPoisonCommands lists the poison queue, and moves back the messages that can be drained.
func TestPoisonCommands(t *testing.T) {
	t.Parallel()
	queues, setting := startQueues(t)
	env := []string{"OUTBOX=on", noBroker, setting}
	poison := queuetest.Make(t, queues.ConnectionString(), outbox.QueueName+"-poison")
	run := func(what, pattern string) {
		t.Helper()
		code, stdout, stderr := runHandler(t, env, "-poison", what)
		if code != 0 || stderr != "" || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(stdout) {
			t.Errorf("%s: code %d, stdout %q, stderr %q, want %q", what, code, stdout, stderr, pattern)
		}
	}
	const empty = `The poison queue is empty\.\n`
	run("list", empty)
	run("resend", empty)
	queuetest.Put(t, poison, waiting(t))
	queuetest.Put(t, poison, waiting(t))
	queuetest.Put(t, poison, base64.StdEncoding.EncodeToString([]byte("hello")))
	run("list", `(?:there .* user "auth0\|61de2511fd334200aa221dff" .*\n){2}there .* cannot be drained: .*\n3 messages shown; all of them stay there\.\n`)
	run("resend", `About 3 messages to look at\.\n1/3  resent .*\n2/3  resent .*\n3/3  there .*\n2 messages sent again, 1 left that cannot be drained\n`)
	if n := queuetest.Count(t, queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)); n != 2 {
		t.Errorf("%d messages in the outbox", n)
	}
	if code, _, stderr := runHandler(t, append(env, wrongKey(queues.URL())), "-poison", "list"); code != 1 || !strings.Contains(stderr, "AuthenticationFailed") {
		t.Errorf("with a wrong key: code %d, stderr %q", code, stderr)
	}
}
