package e2e_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readEnv reads a file of NAME=VALUE lines.
func readEnv(t *testing.T, file string) (env []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, line)
		}
	}
	return env
}

// TestTwelveWrong shows that all mistakes are reported at once, on separate lines and together on the last line, that
// no value is printed, and that the handler does not start.
func TestTwelveWrong(t *testing.T) {
	t.Parallel()
	env := readEnv(t, "testdata/twelve-wrong.env")
	var want []string
	for _, setting := range env {
		if name, value, _ := strings.Cut(setting, "="); strings.Contains(value, "v4lue") {
			want = append(want, name)
		}
	}
	if len(want) != 12 {
		t.Fatalf("the file has %d wrong settings, want 12", len(want))
	}
	slices.Sort(want)
	for name, c := range map[string]struct {
		env  []string
		args []string
	}{
		"checked": {env, []string{"-check"}},
		"started": {append([]string{portSetting(freePort(t))}, env...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runHandler(t, c.env, c.args...)
			if code == 0 || stdout != "" {
				t.Errorf("got code %d and stdout %q, want another code and nothing", code, stdout)
			}
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			last := lines[len(lines)-1]
			var named []string
			for _, line := range lines[:len(lines)-1] {
				name, rule, _ := strings.Cut(line, ": ")
				named = append(named, name)
				if rule == "" || !strings.Contains(last, line) {
					t.Errorf("the last line does not have %q", line)
				}
			}
			slices.Sort(named)
			if diff := cmp.Diff(want, named); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if strings.Contains(stderr, "v4lue") {
				t.Errorf("a value is printed: %s", stderr)
			}
		})
	}
}

// TestCommandLine checks a run's output, its stream, and the exit code.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	const broker = "KAFKA_BROKERS=127.0.0.1:9"
	for _, c := range []struct {
		name           string
		env, args      []string
		code           int
		stdout, stderr string // patterns of all that is printed
	}{
		{"-check, valid", []string{broker}, []string{"-check"}, 0, `settings: valid\n`, ``},
		{"-check, one wrong", []string{broker, "LOG_LEVEL=loud"}, []string{"-check"}, 2, ``, `LOG_LEVEL: .*\n1 setting is wrong: LOG_LEVEL: .*\n`},
		{"-check, looks wrong", []string{broker, "KAFKA_USERNAME=v4lue"}, []string{"-check"}, 0, `WARN  KAFKA_USERNAME: .*KAFKA_SASL_USERNAME meant\?\nsettings: valid\n`, ``},
		{"-check, wrong and looks wrong", []string{"KAFKA_BROKER=v4lue"}, []string{"-check"}, 2, ``, `WARN  KAFKA_BROKER: .*KAFKA_BROKERS meant\?\nKAFKA_BROKERS: is missing.*\n1 setting is wrong: KAFKA_BROKERS: is missing.*\n`},
		{"-check, wrong telemetry", []string{broker, "APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"}, []string{"-check"}, 2, ``, `APPLICATIONINSIGHTS_CONNECTION_STRING: .*\n1 setting is wrong: .*\n`},
		{"-check, no identity", []string{broker, "KAFKA_SASL_MECHANISM=OAUTHBEARER", "AZURE_TOKEN_CREDENTIALS=v4lue"}, []string{"-check"}, 2, ``, `KAFKA_SASL_MECHANISM: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"-check, half an identity", []string{broker, "OUTBOX=on", "AzureWebJobsStorage__accountName=abc", "AzureWebJobsStorage__credential=workloadidentity"}, []string{"-check"}, 2, ``, `AzureWebJobsStorage__credential: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"-check, no identity for telemetry", append(noIdentity(), broker), []string{"-check"}, 2, ``, `APPLICATIONINSIGHTS_AUTHENTICATION_STRING: needs an Azure identity.*\n1 setting is wrong: .*\n`},
		{"-check, nothing set", nil, []string{"-check"}, 2, ``, `KAFKA_BROKERS: is missing.*\n1 setting is wrong: KAFKA_BROKERS: is missing.*\n`},
		{"started without the host", []string{broker}, nil, 2, ``, `(?s).*\n\d settings? (?:is|are) wrong: .*FUNCTIONS_CUSTOMHANDLER_PORT: is missing[^\n]*func start[^\n]*\n`},
		{"unsound port", []string{broker, "FUNCTIONS_CUSTOMHANDLER_PORT=65536"}, nil, 2, ``, `(?s).*\n\d settings? (?:is|are) wrong: .*FUNCTIONS_CUSTOMHANDLER_PORT: [^\n]*\n`},
		{"-version", nil, []string{"-version"}, 0, `userrelay \S+\n`, ``},
		{"-help", nil, []string{"-help"}, 0, ``, `(?s).*-check.*-version.*`},
		{"unknown flag", nil, []string{"-nonsense"}, 2, ``, `(?s).*-nonsense.*`},
		{"argument", []string{broker}, []string{"check"}, 2, ``, `.*-help\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runHandler(t, c.env, c.args...)
			if code != c.code {
				t.Errorf("got code %d, want %d", code, c.code)
			}
			wantText(t, "stdout", stdout, c.stdout)
			wantText(t, "stderr", stderr, c.stderr)
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
	for name, c := range map[string]struct {
		settings, named []string
	}{
		"a connection string": {
			[]string{"APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue", "KAFKA_USERNAME=v4lue"},
			[]string{"APPLICATIONINSIGHTS_CONNECTION_STRING: ", "KAFKA_USERNAME: "},
		},
		"an identity": {noIdentity(), []string{"setting=APPLICATIONINSIGHTS_AUTHENTICATION_STRING "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kafka := startBroker(t)
			h := startHandler(t, append(c.settings, kafka.setting())...)
			h.register(t, `{"userId":"auth0|1"}`).stored(t)
			h.interrupt(t)
			for _, name := range c.named {
				if n := strings.Count(h.stderr.String(), name); n != 1 {
					t.Errorf("%s is named %d times, want once:\n%s", name, n, h.stderr)
				}
			}
			for line := range strings.Lines(h.stderr.String()) {
				if !strings.HasPrefix(line, "level=WARN ") {
					t.Errorf("got %q, want warnings", line)
				}
			}
			if strings.Contains(h.stderr.String()+h.stdout.String(), "v4lue") {
				t.Error("a value is printed")
			}
			if !strings.Contains(h.stdout.String(), "Forwarded to user-events[") {
				t.Error("without telemetry the console does not tell of the registration")
			}
		})
	}
}

// wantText checks that the pattern matches all of the text.
func wantText(t *testing.T, stream, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(text) {
		t.Errorf("%s: got %q, want %q", stream, text, pattern)
	}
}

// TestCheckConnect shows that -check -connect distinguishes reachable and unreachable brokers, and names the setting
// to check.
func TestCheckConnect(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	env := []string{kafka.setting()}
	if code, stdout, stderr := runHandler(t, env, "-check", "-connect"); code != 0 || stderr != "" || strings.Contains(stdout, "FAIL") {
		t.Errorf("with a broker: got code %d, stdout %q and stderr %q, want 0 and no failure", code, stdout, stderr)
	}
	if records := kafka.records(t); len(records) > 0 {
		t.Errorf("the check has left %d records", len(records))
	}
	kafka.stop(t)
	if code, stdout, _ := runHandler(t, env, "-check", "-connect"); code == 0 || !strings.Contains(stdout, "KAFKA_BROKERS") {
		t.Errorf("without: got code %d and %q, want another code and the setting's name", code, stdout)
	}
}

// TestPortTaken shows that the handler exits if its port is taken, and gives the reason on the last line of stderr.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, release := takePort(t)
	defer release()
	code, _, stderr := runHandler(t, []string{"KAFKA_BROKERS=127.0.0.1:9", portSetting(taken)})
	if last := lastLine(stderr); code == 0 || !strings.Contains(last, "listen") || !strings.Contains(last, "in use") {
		t.Errorf("got code %d and last line %q, want another code and the reason", code, last)
	}
}
