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

	"userrelay/local/realkafka"
	"userrelay/test/must"
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
	if err != nil && strings.Contains(err.Error(), "v4lue") {
		t.Errorf("a value is told: %v", err)
	}
	return wrong
}

// wantLoad loads settings, of which no value but those in the names may be told. Each wrong one, and each warning, must
// begin as is wanted.
func wantLoad(t *testing.T, environ, wrong, warnings []string) settings {
	t.Helper()
	if !slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(strings.ToUpper(s), "KAFKA_BROKER") }) {
		environ = append(environ, "KAFKA_BROKERS=kafka:9")
	}
	if !strings.Contains(strings.ToLower(strings.Join(environ, " ")), "storage") {
		environ = append(environ, "OUTBOX=off")
	}
	s, err := load(variablesOf(environ), toCheck)
	for what, c := range map[string][2][]string{"wrong": {wrong, wrongIn(t, err)}, "warnings": {warnings, s.Warnings}} {
		if !slices.EqualFunc(c[1], c[0], strings.HasPrefix) || strings.Contains(strings.Join(c[1], " "), "v4lue") {
			t.Errorf("%q: %s: got %q, want %q", environ, what, c[1], c[0])
		}
	}
	return s
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
	const unknown = ": is not a setting of userrelay and is not read"
	for name, meant := range map[string]string{
		"KAFKA_USERNAME":          unknown + ": is KAFKA_SASL_USERNAME meant?",
		"KAFKA_PASSWORD":          unknown + ": is KAFKA_SASL_PASSWORD meant?",
		"KAFKA_BROKER":            unknown + ": is KAFKA_BROKERS meant?",
		"KAFKA_BOOTSTRAP_SERVERS": unknown + ": is KAFKA_BROKERS meant?",
		"kafka_bootstrap_servers": unknown + ": is KAFKA_BROKERS meant?",
		"KAFKA_TOPICS":            unknown + ": is KAFKA_TOPIC meant?",
		"KAFKA_TPOIC":             unknown + ": is KAFKA_TOPIC meant?",
		"KAFKA_SASL_MECANISM":     unknown + ": is KAFKA_SASL_MECHANISM meant?",
		"KAFKA_SECURTY_PROTOCOL":  unknown + ": is KAFKA_SECURITY_PROTOCOL meant?",
		"KAFKA_TLS_CERTS":         unknown + ": is KAFKA_TLS_CERT meant?",
		"KAFKA_SASL__PASSWORD":    unknown + ": is KAFKA_SASL_PASSWORD meant?",
		"KAFKA_ACKS_AND_RETRIES":  unknown,
		"KAFKA_":                  unknown,
		"KAFKA_HOME":              "",
		"Kafka_Topic":             "",
		"MY_KAFKA_TOPIC":          "",
	} {
		var want []string
		if meant != "" {
			want = []string{name + meant}
		}
		s := wantLoad(t, []string{"KAFKA_BROKERS=127.0.0.1:9", name + "=v4lue"}, nil, want)
		if len(want) > 0 && s.Warnings[0] != want[0] {
			t.Errorf("got %q, want %q", s.Warnings, want)
		}
	}
	// The error for a missing setting also names the similar one that was set.
	wantLoad(t, []string{"KAFKA_BROKER=127.0.0.1:9"}, []string{"KAFKA_BROKERS: is missing"}, []string{"KAFKA_BROKER" + unknown + ": is KAFKA_BROKERS meant?"})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	const storage, ms = "AzureWebJobsStorage=UseDevelopmentStorage=true", time.Millisecond
	for _, c := range []struct {
		kafka, outbox, account string
		wrong                  string // name of the setting
		want                   [2]time.Duration
	}{
		{"", "", storage, "", [2]time.Duration{2000 * ms, 1500 * ms}},
		{"100ms", "100ms", storage, "", [2]time.Duration{100 * ms, 100 * ms}},
		{"2s", "2s", storage, "", [2]time.Duration{2000 * ms, 2000 * ms}},
		{"99.999ms", "", storage, "KAFKA_TIMEOUT", [2]time.Duration{}},
		{"", "99ms", storage, "OUTBOX_TIMEOUT", [2]time.Duration{}},
		{"-1s", "", storage, "KAFKA_TIMEOUT", [2]time.Duration{}},
		{"2", "", storage, "KAFKA_TIMEOUT", [2]time.Duration{}},
		{"", "2", storage, "OUTBOX_TIMEOUT", [2]time.Duration{}},
		{"2s", "2001ms", storage, "OUTBOX_TIMEOUT", [2]time.Duration{}},
		{"2501ms", "", storage, "KAFKA_TIMEOUT", [2]time.Duration{}},
		{"4s", "", "OUTBOX=off", "", [2]time.Duration{4000 * ms}},
		{"4001ms", "", "OUTBOX=off", "KAFKA_TIMEOUT", [2]time.Duration{}},
	} {
		env := []string{"KAFKA_TIMEOUT=" + c.kafka, "OUTBOX_TIMEOUT=" + c.outbox, c.account}
		if c.wrong != "" {
			wantLoad(t, env, []string{c.wrong + ": "}, nil)
			continue
		}
		s := wantLoad(t, env, nil, nil)
		got := [2]time.Duration{s.Kafka.Timeout}
		if s.Outbox != nil {
			got[1] = s.Outbox.Timeout
		}
		if got != c.want {
			t.Errorf("%q: got %v, want %v", env, got, c.want)
		}
	}
}

// Wrong settings of telemetry are an error for -check, and a warning for a serving handler.
func TestWrongTelemetryDoesNotEndTheHandler(t *testing.T) {
	t.Parallel()
	const (
		key      = "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=01234567-89ab-cdef-0123-456789abcdef"
		unsound  = "APPLICATIONINSIGHTS_CONNECTION_STRING=v4lue"
		identity = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING="
	)
	for _, settings := range [][]string{
		{unsound},
		{strings.Replace(key, "Instr", `"Instr`, 1) + `"`},
		{key, identity + "v4lue"},
		{key + ";IngestionEndpoint=http://v4lue.example.com", identity + "Authorization=AAD"},
		{"APPLICATIONINSIGHTS_CONNECTION_STRING=@Microsoft.KeyVault(SecretUri=https://v4lue)"},
		{unsound, identity + "Authorization=v4lue"},
	} {
		vars := variablesOf(append(settings, "KAFKA_BROKERS=127.0.0.1:9", "OUTBOX=off", "FUNCTIONS_CUSTOMHANDLER_PORT=1"))
		_, err := load(vars, toCheck)
		wrong := wrongIn(t, err)
		if len(wrong) == 0 {
			t.Fatalf("%q: -check finds nothing wrong", settings)
		}
		for _, what := range []purpose{toServe, toTend} {
			s, err := load(vars, what)
			if err != nil || s.Insights != nil || s.Identity != nil || !s.Lines {
				t.Errorf("%q: error %v, or it is used", settings, err)
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
	}
}

// Passwords are used unchanged, with a warning if they look suspicious. Names and passwords that cannot be sent are
// refused before a connection is made.
func TestLogin(t *testing.T) {
	t.Parallel()
	looks, wrongName := []string{"KAFKA_SASL_PASSWORD: "}, []string{"KAFKA_SASL_USERNAME: must be ASCII"}
	for _, c := range []struct {
		mechanism, user, password string
		wrong, warnings           []string
	}{
		{"SCRAM-SHA-256", "a,b=c", "secret", nil, nil},
		{"SCRAM-SHA-512", "u", "½\u00a0é", nil, nil},
		{"SCRAM-SHA-512", "u", " v4lue", nil, looks},
		{"SCRAM-SHA-512", "u", "v4lue\n", nil, looks},
		{"SCRAM-SHA-512", "u", `"v4lue"`, nil, looks},
		{"SCRAM-SHA-512", "u", `v4lue"`, nil, nil},
		{"SCRAM-SHA-512", "u", "v4lue\xff", looks, nil},
		{"SCRAM-SHA-512", "zo\u00eb", "p", wrongName, nil},
		{"PLAIN", "zo\u00eb", "p", nil, nil},
		{"PLAIN", "v4lue\xff", "p", wrongName, nil},
	} {
		env := []string{"KAFKA_SASL_MECHANISM=" + c.mechanism, "KAFKA_SASL_USERNAME=" + c.user, "KAFKA_SASL_PASSWORD=" + c.password}
		if s := wantLoad(t, env, c.wrong, c.warnings); c.wrong == nil && (s.Kafka.Password != c.password || s.Kafka.Username != c.user) {
			t.Errorf("got %q %q, want %q %q", s.Kafka.Username, s.Kafka.Password, c.user, c.password)
		}
	}
}

// A mistake causes no further errors that follow from it.
func TestMistakesStandAlone(t *testing.T) {
	t.Parallel()
	for wrong, env := range map[string][]string{
		"KAFKA_SASL_MECHANISM: ":             {"KAFKA_SASL_MECHANISM=SCRAM", "KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"},
		"KAFKA_SASL_MECHANISM: is in quotes": {"KAFKA_BROKERS=127.0.0.1:9", `KAFKA_SASL_MECHANISM="PLAIN"`, "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"},
		"KAFKA_SECURITY_PROTOCOL: ": {
			"KAFKA_BROKERS=127.0.0.1:9", "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SECURITY_PROTOCOL=TLS", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p",
		},
		"KAFKA_BROKERS: ":                       {"KAFKA_BROKERS='kafka:9'"},
		"KAFKA_TOPIC: ":                         {`KAFKA_TOPIC="t"`},
		"KAFKA_TIMEOUT: ":                       {"KAFKA_TIMEOUT=9s"},
		"LOG_FORMAT: must be one of text, json": {"LOG_FORMAT=JSON"},
	} {
		wantLoad(t, env, []string{wrong}, nil)
	}
}

// Names are matched as the host does. Of several spellings with different values one is used, and a warning names all.
func TestSpellings(t *testing.T) {
	t.Parallel()
	twice := []string{"KAFKA_TOPIC: is set more than once"}
	for _, c := range []struct{ env, warnings []string }{
		{[]string{"kafka_topic=t"}, nil},
		{[]string{"kafka_topic=t", "KAFKA_TOPIC=t"}, nil},
		{[]string{"kafka_topic=other", "KAFKA_TOPIC=t", "Kafka_Topic=another"}, twice},
		{[]string{"KAFKA_TOPIC=t", "AUTH0_TENANT=a"}, nil},
	} {
		if s := wantLoad(t, c.env, nil, c.warnings); s.Kafka.Topic != "t" {
			t.Errorf("%q: got topic %q", c.env, s.Kafka.Topic)
		}
	}
}

// Console lines are JSON if a machine collects them, or if the setting says so. They tell of events unless telemetry
// does.
func TestConsole(t *testing.T) {
	t.Parallel()
	const azure, telemetry = "WEBSITE_SITE_NAME=x", "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=01234567-89ab-cdef-0123-456789abcdef"
	for _, c := range []struct {
		env         []string
		json, lines bool
	}{
		{nil, false, true},
		{[]string{azure}, true, true},
		{[]string{azure, telemetry}, true, false},
		{[]string{azure, telemetry, "AZURE_FUNCTIONS_ENVIRONMENT=Development"}, false, true},
		{[]string{"LOG_FORMAT=json", telemetry}, true, false},
		{[]string{"LOG_FORMAT=text", azure}, false, true},
	} {
		if s := wantLoad(t, c.env, nil, nil); s.JSON != c.json || s.Lines != c.lines {
			t.Errorf("%q: JSON %t, lines %t, want %t, %t", c.env, s.JSON, s.Lines, c.json, c.lines)
		}
	}
}

// Certificates are read from the settings in any form, including quotes, and only if TLS is used.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ca := must.Get[*realkafka.CA](t)(realkafka.NewCA("authority"))
	cert := must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}))
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
		s := wantLoad(t, slices.Clone(c.env), c.wrong, c.warnings)
		if (s.Kafka.Certificates != nil) != c.tls {
			t.Errorf("%s: TLS: got %t, want %t", name, !c.tls, c.tls)
		}
	}
}

// The producer gets the current certificates, and the console reports that they have changed.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write := func() *x509.CertPool {
		ca := must.Get[*realkafka.CA](t)(realkafka.NewCA("authority"))
		if err := os.WriteFile(path, ca.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca.PEM())
		return pool
	}
	before := write()
	s := wantLoad(t, []string{"KAFKA_TLS_CA=" + path}, nil, nil)
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
