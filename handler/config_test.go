package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/realkafka"
)

// environments are valid settings of all kinds. Each setting is read in at least one of them.
func environments() map[string][]string {
	const brokers, off = "KAFKA_BROKERS=kafka.example.com:9093", "OUTBOX=off"
	return map[string][]string{
		"password":     {brokers, off, "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"},
		"token":        {brokers, off, "KAFKA_SASL_MECHANISM=OAUTHBEARER", "KAFKA_OAUTH_SCOPE=s", "KAFKA_OAUTH_EXTENSIONS=a=b"},
		"no login":     {brokers, off, "KAFKA_SECURITY_PROTOCOL=SSL"},
		"storage key":  {brokers, "AzureWebJobsStorage=UseDevelopmentStorage=true"},
		"storage name": {brokers, "AzureWebJobsStorage__accountName=abc", "AzureWebJobsStorage__credential=managedidentity"},
		"storage URI":  {brokers, "AzureWebJobsStorage__queueServiceUri=https://abc.queue.core.windows.net"},
		"telemetry": {
			brokers, off, "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=01234567-89ab-cdef-0123-456789abcdef",
			"APPLICATIONINSIGHTS_AUTHENTICATION_STRING=Authorization=AAD", "WEBSITE_SITE_NAME=site", "WEBSITE_SLOT_NAME=slot",
		},
	}
}

// read returns the names of the settings that are read in an environment.
func read(t *testing.T, environ []string) []string {
	t.Helper()
	env := newEnvironment(variablesOf(environ))
	loadAll(env, toCheck)
	if env.wrong != nil {
		t.Fatal(env.wrong)
	}
	return slices.Sorted(maps.Keys(env.asked))
}

func wrongIn(t *testing.T, err error) configError {
	t.Helper()
	wrong, ok := errors.AsType[configError](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	return wrong
}

// A reference that the platform did not resolve is reported as such in every setting, and no other value is.
func TestUnresolvedReferences(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for kind, environ := range environments() {
		for _, name := range read(t, environ) {
			seen[name] = true
			for _, value := range []string{
				"@Microsoft.KeyVault(SecretUri=https://v4lue.vault.azure.net/secrets/s)",
				` "@microsoft.keyvault(VaultName=v4lue;SecretName=s)"`,
				"@Microsoft.AppConfiguration(Endpoint=https://v4lue.azconfig.io; Key=k)",
			} {
				var with []string
				for _, setting := range environ {
					if other, _, _ := strings.Cut(setting, "="); fold(other) != name {
						with = append(with, setting)
					}
				}
				_, err := load(variablesOf(append(with, name+"="+value)), toCheck)
				wrong := wrongIn(t, err)
				if len(wrong) != 1 || fold(wrong[0][:strings.IndexByte(wrong[0], ' ')]) != name+":" || !strings.Contains(wrong[0], "reference that was not resolved") {
					t.Errorf("%s, %s=%s: got %q, want its name and that it is a reference", kind, name, value, wrong)
				}
				if strings.Contains(err.Error(), "v4lue") {
					t.Errorf("%s: the value is told", name)
				}
			}
		}
	}
	for _, name := range []string{
		"kafka_brokers", "kafka_sasl_password", "kafka_tls_key", "azurewebjobsstorage", "azurewebjobsstorage:clientsecret",
		"applicationinsights_connection_string", "applicationinsights_authentication_string",
	} {
		if !seen[name] {
			t.Errorf("%s was not tried", name)
		}
	}
}

// Unknown settings with a known prefix are named in a warning, with the setting that is probably meant.
func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	const ask = ": is %s meant?"
	for name, meant := range map[string]string{
		"KAFKA_USERNAME":          "KAFKA_SASL_USERNAME",
		"KAFKA_PASSWORD":          "KAFKA_SASL_PASSWORD",
		"KAFKA_BROKER":            "KAFKA_BROKERS",
		"KAFKA_BOOTSTRAP_SERVERS": "KAFKA_BROKERS",
		"kafka_bootstrap_servers": "KAFKA_BROKERS",
		"KAFKA_TOPICS":            "KAFKA_TOPIC",
		"KAFKA_TPOIC":             "KAFKA_TOPIC",
		"KAFKA_SASL_MECANISM":     "KAFKA_SASL_MECHANISM",
		"KAFKA_SECURTY_PROTOCOL":  "KAFKA_SECURITY_PROTOCOL",
		"KAFKA_TLS_CERTS":         "KAFKA_TLS_CERT",
		"KAFKA_TIMEOT":            "KAFKA_TIMEOUT",
		"KAFKA_SASL__PASSWORD":    "KAFKA_SASL_PASSWORD",
		"KAFKA_ACKS_AND_RETRIES":  "",
		"KAFKA_":                  "",
		"KAFKA_HOME":              "-",
		"Kafka_Topic":             "-",
		"MY_KAFKA_TOPIC":          "-",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf([]string{"KAFKA_BROKERS=127.0.0.1:9", "OUTBOX=off", name + "=v4lue"}), toCheck)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			switch meant {
			case "-":
			case "":
				want = []string{name + ": is not a setting of userrelay and is not read"}
			default:
				want = []string{name + ": is not a setting of userrelay and is not read" + strings.Replace(ask, "%s", meant, 1)}
			}
			if diff := cmp.Diff(want, s.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// The error for a missing setting also names the similar one that was set.
func TestUnknownSettingsBesideMistakes(t *testing.T) {
	t.Parallel()
	s, err := load(variablesOf([]string{"KAFKA_BROKER=127.0.0.1:9", "OUTBOX=off"}), toServe)
	if wrong := wrongIn(t, err); len(wrong) != 2 || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "KAFKA_BROKERS meant") {
		t.Errorf("got %q and the warnings %q", wrong, s.Warnings)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kafka, outbox string
		off           bool
		wrong         string // name of the setting
		want          [2]time.Duration
	}{
		"as they are":          {"", "", false, "", [2]time.Duration{2 * time.Second, 1500 * time.Millisecond}},
		"least":                {"100ms", "100ms", false, "", [2]time.Duration{100 * time.Millisecond, 100 * time.Millisecond}},
		"most":                 {"2s", "2s", false, "", [2]time.Duration{2 * time.Second, 2 * time.Second}},
		"too short for Kafka":  {"1ns", "", false, "KAFKA_TIMEOUT", [2]time.Duration{}},
		"just too short":       {"99.999ms", "", false, "KAFKA_TIMEOUT", [2]time.Duration{}},
		"too short for a put":  {"", "99ms", false, "OUTBOX_TIMEOUT", [2]time.Duration{}},
		"negative":             {"-1s", "", false, "KAFKA_TIMEOUT", [2]time.Duration{}},
		"no unit":              {"2", "", false, "KAFKA_TIMEOUT", [2]time.Duration{}},
		"no unit for a put":    {"", "2", false, "OUTBOX_TIMEOUT", [2]time.Duration{}},
		"too long together":    {"2s", "2001ms", false, "OUTBOX_TIMEOUT", [2]time.Duration{}},
		"too long beside 1.5s": {"2501ms", "", false, "KAFKA_TIMEOUT", [2]time.Duration{}},
		"alone":                {"4s", "", true, "", [2]time.Duration{4 * time.Second}},
		"too long alone":       {"4001ms", "", true, "KAFKA_TIMEOUT", [2]time.Duration{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"KAFKA_BROKERS=127.0.0.1:9", "KAFKA_TIMEOUT=" + c.kafka, "OUTBOX_TIMEOUT=" + c.outbox, "AzureWebJobsStorage=UseDevelopmentStorage=true"}
			if c.off {
				env = append(env, "OUTBOX=off")
			}
			s, err := load(variablesOf(env), toCheck)
			if wrong := wrongIn(t, err); c.wrong == "" && err != nil || c.wrong != "" && (len(wrong) != 1 || !strings.HasPrefix(wrong[0], c.wrong+": ")) {
				t.Fatalf("got %q, want a mistake in %q", wrong, c.wrong)
			}
			if err != nil {
				return
			}
			got := [2]time.Duration{s.Kafka.Timeout}
			if s.Outbox != nil {
				got[1] = s.Outbox.Timeout
			}
			if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Wrong settings of telemetry are an error for -check, and a warning for a serving handler.
func TestWrongTelemetryDoesNotEndTheHandler(t *testing.T) {
	t.Parallel()
	env := []string{"KAFKA_BROKERS=127.0.0.1:9", "OUTBOX=off", "FUNCTIONS_CUSTOMHANDLER_PORT=1"}
	const key = "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=01234567-89ab-cdef-0123-456789abcdef"
	for name, settings := range map[string][]string{
		"connection":            {"APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"},
		"connection in quotes":  {strings.Replace(key, "Instr", `"Instr`, 1) + `"`},
		"identity":              {key, "APPLICATIONINSIGHTS_AUTHENTICATION_STRING=v4lue"},
		"a token unencrypted":   {key + ";IngestionEndpoint=http://v4lue.example.com", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING=Authorization=AAD"},
		"connection, a secret":  {"APPLICATIONINSIGHTS_CONNECTION_STRING=@Microsoft.KeyVault(SecretUri=https://v4lue)"},
		"connection, identity ": {"APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING=Authorization=v4lue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vars := variablesOf(slices.Concat(env, settings))
			_, err := load(vars, toCheck)
			wrong := wrongIn(t, err)
			if len(wrong) == 0 {
				t.Fatal("-check finds nothing wrong")
			}
			for _, what := range []purpose{toServe, toTend} {
				s, err := load(vars, what)
				if err != nil {
					t.Fatal(err)
				}
				if s.Insights != nil || s.Identity != nil || !s.Lines {
					t.Error("it is used")
				}
				if len(s.Warnings) != len(wrong) || !strings.HasPrefix(s.Warnings[0], wrong[0]) || strings.Contains(strings.Join(s.Warnings, " "), "v4lue") {
					t.Errorf("got the warnings %q, want each of %q with what follows from it", s.Warnings, wrong)
				}
			}
			// Together with other mistakes it is listed as one of them.
			_, err = load(variablesOf(append(settings, "OUTBOX=off")), toServe)
			if both := wrongIn(t, err); len(both) != len(wrong)+2 {
				t.Errorf("got %q, want %q and two more", both, wrong)
			}
		})
	}
}

// Passwords are used unchanged, with a warning if they look suspicious.
func TestPassword(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		password       string
		warnings, fail int
	}{
		"plain":       {"secret", 0, 0},
		"half":        {"½\u00a0é", 0, 0},
		"white space": {" v4lue", 1, 0},
		"line end":    {"v4lue\n", 1, 0},
		"quotes":      {`"v4lue"`, 1, 0},
		"one quote":   {`v4lue"`, 0, 0},
		"not UTF-8":   {"v4lue\xff", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf([]string{
				"KAFKA_BROKERS=kafka:9", "OUTBOX=off", "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=" + c.password,
			}), toCheck)
			wrong := wrongIn(t, err)
			if len(wrong) != c.fail || len(s.Warnings) != c.warnings || strings.Contains(strings.Join(append(s.Warnings, wrong...), " "), "v4lue") {
				t.Errorf("got %q and %q", wrong, s.Warnings)
			}
			if c.fail == 0 && s.Kafka.Password != c.password {
				t.Errorf("got %q", s.Kafka.Password)
			}
		})
	}
}

// A topic name that no broker accepts is refused before a connection is made.
func TestUsername(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mechanism, user string
		fail            bool
	}{
		"plain":               {"SCRAM-SHA-256", "alice", false},
		"signs of the form":   {"SCRAM-SHA-512", "a,b=c", false},
		"SCRAM, beyond ASCII": {"SCRAM-SHA-512", "zo\u00eb", true},
		"PLAIN, beyond ASCII": {"PLAIN", "zo\u00eb", false},
		"PLAIN, not UTF-8":    {"PLAIN", "v4lue\xff", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(variablesOf([]string{
				"KAFKA_BROKERS=kafka:9", "OUTBOX=off", "KAFKA_SASL_MECHANISM=" + c.mechanism, "KAFKA_SASL_USERNAME=" + c.user, "KAFKA_SASL_PASSWORD=p",
			}), toCheck)
			wrong := wrongIn(t, err)
			if c.fail != (err != nil) || c.fail && (len(wrong) != 1 || !strings.HasPrefix(wrong[0], "KAFKA_SASL_USERNAME: must be ASCII") || strings.Contains(wrong[0], "v4lue")) {
				t.Errorf("got %q", wrong)
			}
		})
	}
}

// A mistake causes no further errors that follow from it.
func TestMistakesStandAlone(t *testing.T) {
	t.Parallel()
	login := []string{"KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"}
	for name, c := range map[string]struct {
		env   []string
		wrong string
	}{
		"mechanism":             {append([]string{"KAFKA_BROKERS=kafka:9", "KAFKA_SASL_MECHANISM=SCRAM", "KAFKA_SECURITY_PROTOCOL=SASL_SSL"}, login...), "KAFKA_SASL_MECHANISM"},
		"mechanism in quotes":   {append([]string{"KAFKA_BROKERS=127.0.0.1:9", `KAFKA_SASL_MECHANISM="PLAIN"`}, login...), "KAFKA_SASL_MECHANISM"},
		"protocol":              {append([]string{"KAFKA_BROKERS=127.0.0.1:9", "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SECURITY_PROTOCOL=TLS"}, login...), "KAFKA_SECURITY_PROTOCOL"},
		"broker in quotes":      {[]string{"KAFKA_BROKERS='kafka:9'"}, "KAFKA_BROKERS"},
		"topic in quotes":       {[]string{"KAFKA_BROKERS=kafka:9", `KAFKA_TOPIC="t"`}, "KAFKA_TOPIC"},
		"timeouts, one unsound": {[]string{"KAFKA_BROKERS=kafka:9", "KAFKA_TIMEOUT=9s"}, "KAFKA_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(variablesOf(append(c.env, "OUTBOX=off")), toCheck)
			wrong := wrongIn(t, err)
			if len(wrong) != 1 || !strings.HasPrefix(wrong[0], c.wrong+": ") {
				t.Errorf("got %q, want one, of %s", wrong, c.wrong)
			}
		})
	}
}

// Names are matched as the host does. Of several spellings with different values one is used, and a warning names all.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env      []string
		warnings int
	}{
		"other letters":           {[]string{"kafka_topic=t"}, 0},
		"the same twice":          {[]string{"kafka_topic=t", "KAFKA_TOPIC=t"}, 0},
		"the exact one counts":    {[]string{"kafka_topic=other", "KAFKA_TOPIC=t", "Kafka_Topic=another"}, 1},
		"others that do not meet": {[]string{"KAFKA_TOPIC=t", "AUTH0_TENANT=a"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf(append(c.env, "KAFKA_BROKERS=kafka:9", "OUTBOX=off")), toCheck)
			if err != nil || s.Kafka.Topic != "t" || len(s.Warnings) != c.warnings {
				t.Errorf("got topic %q, warnings %q, error %v", s.Kafka.Topic, s.Warnings, err)
			}
		})
	}
}

// Certificates are read from the settings in any form, including quotes, and only if TLS is used.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ca, err := realkafka.NewCA("authority")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	flat := func(pem []byte) string { return `"` + strings.ReplaceAll(string(pem), "\n", `\n`) + `"` }
	all := []string{"KAFKA_TLS_CA=" + flat(ca.PEM()), "KAFKA_TLS_CERT=" + flat(cert.CertPEM), "KAFKA_TLS_KEY=" + flat(cert.KeyPEM)}
	for name, c := range map[string]struct {
		env             []string
		tls             bool
		wrong, warnings []string // names of settings
	}{
		"SSL":               {append(all, "KAFKA_BROKERS=kafka:9"), true, nil, []string{"KAFKA_TLS_CERT"}},
		"nothing set":       {[]string{"KAFKA_BROKERS=kafka:9"}, true, nil, nil},
		"none for loopback": {[]string{"KAFKA_BROKERS=127.0.0.1:9"}, false, nil, nil},
		"PLAINTEXT":         {append(all, "KAFKA_BROKERS=127.0.0.1:9"), false, []string{"KAFKA_TLS_CA", "KAFKA_TLS_CERT", "KAFKA_TLS_KEY"}, nil},
		"damaged":           {append(all, "KAFKA_BROKERS=kafka:9", "KAFKA_TLS_CA=-----BEGIN"), false, []string{"KAFKA_TLS_CA"}, nil},
		"a reference":       {append(all, "KAFKA_BROKERS=kafka:9", "KAFKA_TLS_KEY=@Microsoft.KeyVault(v4lue)"), false, []string{"KAFKA_TLS_KEY"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf(append(slices.Clone(c.env), "OUTBOX=off")), toCheck)
			names := func(lines []string) (names []string) {
				for _, l := range lines {
					name, _, _ := strings.Cut(l, ":")
					names = append(names, name)
				}
				return names
			}
			if diff := cmp.Diff(c.wrong, names(wrongIn(t, err))); diff != "" {
				t.Errorf("wrong (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.warnings, names(s.Warnings)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if (s.Kafka.Certificates != nil) != c.tls {
				t.Errorf("TLS: got %t, want %t", !c.tls, c.tls)
			}
		})
	}
}

// The producer gets the current certificates, and the console reports that they have changed.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write := func() *x509.CertPool {
		ca, err := realkafka.NewCA("authority")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, ca.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca.PEM())
		return pool
	}
	before := write()
	s, err := load(variablesOf([]string{"KAFKA_BROKERS=kafka:9", "OUTBOX=off", "KAFKA_TLS_CA=" + path}), toCheck)
	if err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	c, err := appConfig(s, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Kafka.TLS.RootCAs.Equal(before) || !c.Kafka.CurrentTLS().RootCAs.Equal(before) || told.Len() > 0 {
		t.Errorf("before: not the authority of the file, or told %q", told.String())
	}
	if after := write(); !c.Kafka.CurrentTLS().RootCAs.Equal(after) || !strings.Contains(told.String(), "level=INFO") {
		t.Errorf("after: not the authority of the file, or told %q", told.String())
	}
}

// Console lines are JSON if a machine collects them, or if the setting says so.
func TestLogFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		settings []string
		json     bool
		wrong    string
	}{
		{nil, false, ""},
		{[]string{"WEBSITE_SITE_NAME=x"}, true, ""},
		{[]string{"WEBSITE_SITE_NAME=x", "AZURE_FUNCTIONS_ENVIRONMENT=Development"}, false, ""},
		{[]string{"LOG_FORMAT=json"}, true, ""},
		{[]string{"LOG_FORMAT=text", "WEBSITE_SITE_NAME=x"}, false, ""},
		{[]string{"LOG_FORMAT=JSON"}, false, "LOG_FORMAT: must be one of text, json"},
	} {
		s, err := load(variablesOf(append(tt.settings, "KAFKA_BROKERS=127.0.0.1:9092", "OUTBOX=off")), toCheck)
		if wrong := strings.Join(wrongIn(t, err), "; "); wrong != tt.wrong || err == nil && s.JSON != tt.json {
			t.Errorf("%q: JSON %v, %q; want %v, %q", tt.settings, s.JSON, wrong, tt.json, tt.wrong)
		}
	}
}
