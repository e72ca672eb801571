package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/outbox"
	"userrelay/test/faultproxy"
	"userrelay/test/must"
	"userrelay/test/queuetest"
)

const noBroker = "KAFKA_BROKERS=127.0.0.1:9"

// TestTwelveWrong shows that all mistakes are reported at once, on separate lines and together on the last line, that
// no value is printed, and that the handler does not start.
func TestTwelveWrong(t *testing.T) {
	t.Parallel()
	text := string(must.Get[[]byte](t)(os.ReadFile("testdata/twelve-wrong.env")))
	env := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" || line[0] == '#' })
	var want []string
	for _, setting := range env {
		if name, value, _ := strings.Cut(setting, "="); strings.Contains(value, "v4lue") {
			want = append(want, name)
		}
	}
	if slices.Sort(want); len(want) != 12 {
		t.Fatalf("the file has %d wrong settings, want 12", len(want))
	}
	for _, args := range [][]string{{"-check"}, nil} {
		code, stdout, stderr := runHandler(t, append(env, portSetting(freePort(t))), args...)
		if code != 2 || stdout != "" {
			t.Errorf("%q: got code %d and stdout %q, want 2 and nothing", args, code, stdout)
		}
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		last := lines[len(lines)-1]
		var named []string
		for _, line := range lines[:len(lines)-1] {
			name, rule, _ := strings.Cut(line, ": ")
			named = append(named, name)
			if rule == "" || !strings.Contains(last, line) {
				t.Errorf("%q: the last line does not have %q", args, line)
			}
		}
		slices.Sort(named)
		if diff := cmp.Diff(want, named); diff != "" {
			t.Errorf("%q: settings (-want +got):\n%s", args, diff)
		}
		if strings.Contains(stderr, "v4lue") {
			t.Errorf("%q: a value is printed: %s", args, stderr)
		}
	}
}

// TestCommandLine checks a run's output, its stream, and the exit code.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	takenPort := "FUNCTIONS_CUSTOMHANDLER_PORT=" + must.Get[*url.URL](t)(url.Parse(taken.URL)).Port()
	for _, c := range []struct {
		name           string
		env, args      []string
		code           int
		stdout, stderr string // patterns of all that is printed
	}{
		{"-check, valid", []string{noBroker}, []string{"-check"}, 0, `settings: valid\n`, ``},
		{"-check, one wrong", []string{noBroker, "LOG_LEVEL=loud"}, []string{"-check"}, 2, ``, `LOG_LEVEL: .*\n1 setting is wrong: LOG_LEVEL: .*\n`},
		{"-check, looks wrong", []string{noBroker, "KAFKA_USERNAME=v4lue"}, []string{"-check"}, 0, `WARN  KAFKA_USERNAME: .*KAFKA_SASL_USERNAME meant\?\nsettings: valid\n`, ``},
		{"-check, wrong and looks wrong", []string{"KAFKA_BROKER=v4lue"}, []string{"-check"}, 2, ``, `WARN  KAFKA_BROKER: .*KAFKA_BROKERS meant\?\nKAFKA_BROKERS: is missing.*\n1 setting is wrong: KAFKA_BROKERS: is missing.*\n`},
		{"-check, wrong telemetry", []string{noBroker, "APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"}, []string{"-check"}, 2, ``, `APPLICATIONINSIGHTS_CONNECTION_STRING: .*\n1 setting is wrong: .*\n`},
		{"-check, no identity", []string{noBroker, "KAFKA_SASL_MECHANISM=OAUTHBEARER", "AZURE_TOKEN_CREDENTIALS=v4lue"}, []string{"-check"}, 2, ``, `KAFKA_SASL_MECHANISM: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"-check, half an identity", []string{noBroker, "OUTBOX=on", "AzureWebJobsStorage__accountName=abc", "AzureWebJobsStorage__credential=workloadidentity"}, []string{"-check"}, 2, ``, `AzureWebJobsStorage__credential: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"-check, no identity for telemetry", append(noIdentity(), noBroker), []string{"-check"}, 2, ``, `APPLICATIONINSIGHTS_AUTHENTICATION_STRING: needs an Azure identity.*\n1 setting is wrong: .*\n`},
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
			if code != c.code {
				t.Errorf("got code %d, want %d", code, c.code)
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
	for named, settings := range map[string][]string{
		"APPLICATIONINSIGHTS_CONNECTION_STRING: ":            {"APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"},
		"setting=APPLICATIONINSIGHTS_AUTHENTICATION_STRING ": noIdentity(),
	} {
		h := startHandler(t, append(settings, startBroker(t).setting())...)
		h.register(t, `{"userId":"auth0|1"}`).stored(t)
		h.interrupt(t)
		if said := h.stderr.String(); !strings.HasPrefix(said, "level=WARN ") || strings.Count(said, named) != 1 || strings.Count(said, "\n") != 1 {
			t.Errorf("got %q, want one warning that names %s", said, named)
		}
		if said := h.stdout.String(); !strings.Contains(said, "Forwarded to user-events[") || strings.Contains(said+h.stderr.String(), "v4lue") {
			t.Errorf("without telemetry the console does not tell of the registration, or a value is printed: %q", said)
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
		if code, stdout, stderr := runHandler(t, env, "-poison", what); code != 0 || stderr != "" || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(stdout) {
			t.Errorf("%s: code %d, stdout %q, stderr %q, want %q", what, code, stdout, stderr, pattern)
		}
	}
	const empty = `The poison queue is empty\.\n`
	run("list", empty)
	run("resend", empty)
	queuetest.Put(t, poison, waiting(t))
	queuetest.Put(t, poison, base64.StdEncoding.EncodeToString([]byte("hello")))
	run("list", `.* user "auth0\|61de2511fd334200aa221dff" .*\n.* cannot be drained: .*\n2 messages shown; all of them stay there\.\n`)
	run("resend", `About 2 messages to look at\.\n1/2  .*\n2/2  .*\n1 messages sent again, 1 left that cannot be drained\n`)
	if n := queuetest.Count(t, queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)); n != 1 {
		t.Errorf("%d messages in the outbox", n)
	}
	if code, _, stderr := runHandler(t, append(env, wrongKey(queues.URL())), "-poison", "list"); code != 1 || !strings.Contains(stderr, "AuthenticationFailed") {
		t.Errorf("with a wrong key: code %d, stderr %q", code, stderr)
	}
}
