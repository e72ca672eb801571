package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/identity"
)

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

// agree says whether lines are as wanted. Of a wanted line that ends with "…" only the beginning is compared. No line may
// hold a value.
func agree(lines, want []string) bool {
	return !strings.Contains(strings.Join(lines, " "), "v4lue") && slices.EqualFunc(lines, want, func(line, want string) bool {
		begin, open := strings.CutSuffix(want, "…")
		return line == want || open && strings.HasPrefix(line, begin)
	})
}

// wantLoad loads settings, with a broker and without an outbox if none are set. What is wrong, and the warnings, must be
// told as wanted.
func wantLoad(t *testing.T, environ, wrong, warnings []string) settings {
	t.Helper()
	byDefault := []string{"KAFKA_BROKERS=kafka:9"}
	if !strings.Contains(strings.Join(environ, " "), storage) {
		byDefault = append(byDefault, "OUTBOX=off")
	}
	s, err := load(variablesOf(append(byDefault, environ...)), toCheck) // of two values of a name the last counts
	for what, c := range map[string][2][]string{"wrong": {wrongIn(t, err), wrong}, "warnings": {s.Warnings, warnings}} {
		if !agree(c[0], c[1]) {
			t.Errorf("%q: %s: got %q, want %q", environ, what, c[0], c[1])
		}
	}
	return s
}

// A reference that the platform did not resolve is reported as such in every setting, and no other value is.
func TestUnresolvedReferences(t *testing.T) {
	t.Parallel()
	for kind, environ := range environments() {
		for _, name := range read(t, environ) {
			for _, value := range []string{
				"@Microsoft.KeyVault(SecretUri=https://v4lue.vault.azure.net/secrets/s)",
				` "@microsoft.keyvault(VaultName=v4lue;SecretName=s)"`,
				"@Microsoft.AppConfiguration(Endpoint=https://v4lue.azconfig.io; Key=k)",
			} {
				others := slices.DeleteFunc(slices.Clone(environ), func(setting string) bool { return strings.HasPrefix(fold(setting), name+"=") })
				_, err := load(variablesOf(append(others, name+"="+value)), toCheck)
				wrong := wrongIn(t, err)
				if len(wrong) != 1 || !strings.HasPrefix(fold(wrong[0]), name+": ") || !strings.Contains(wrong[0], "reference that was not resolved") {
					t.Errorf("%s, %s=%s: got %q, want its name and that it is a reference", kind, name, value, wrong)
				}
			}
		}
	}
}

// A mistake is told once, without errors that follow from it. What only looks like one is a warning.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const p, connection, name = storage, storage + "=AccountName=abc;AccountKey=c2VjcmV0", storage + "__accountName=abc"
	const quotes = ": is in quotes, which are read as part of the value: remove them"
	for _, c := range [][3][]string{ // settings, what is wrong, warnings
		{{"KAFKA_BROKERS='kafka:9'"}, {"KAFKA_BROKERS" + quotes}},
		{{`KAFKA_TOPIC="t"`}, {"KAFKA_TOPIC" + quotes}},
		{{"KAFKA_TIMEOUT=9s"}, {"KAFKA_TIMEOUT: must be a duration…"}},
		{{"LOG_FORMAT=JSON"}, {"LOG_FORMAT: must be one of text, json"}},
		{{"KAFKA_SASL_MECHANISM=SCRAM", "KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"}, {"KAFKA_SASL_MECHANISM: …"}},
		{{"KAFKA_BROKERS=127.0.0.1:9", `KAFKA_SASL_MECHANISM="PLAIN"`, "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"}, {"KAFKA_SASL_MECHANISM" + quotes}},
		{
			{"KAFKA_BROKERS=127.0.0.1:9", "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SECURITY_PROTOCOL=TLS", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"},
			{"KAFKA_SECURITY_PROTOCOL: …"},
		},
		{{"KAFKA_SASL_USERNAME=v4lue"}, {"KAFKA_SASL_USERNAME: is for the mechanisms PLAIN, …"}},
		{{"KAFKA_SASL_PASSWORD=v4lue"}, {"KAFKA_SASL_PASSWORD: is for the mechanisms PLAIN, …"}},
		{
			{"KAFKA_BROKERS=ns.servicebus.windows.net:9093", "KAFKA_SASL_MECHANISM=OAUTHBEARER", "KAFKA_OAUTH_EXTENSIONS=v4lue"},
			{"KAFKA_OAUTH_EXTENSIONS: must be name=value pairs…"},
		},
		{{"AUTH0_TENANT=v4lue/tenant"}, {"AUTH0_TENANT: must be the tenant's name…"}},

		{{"OUTBOX=on"}, {p + ": is missing…"}},
		{{"OUTBOX=v4lue"}, {"OUTBOX: …"}},
		{{p + "__blobServiceUri=https://v4lue"}, {p + ": is missing…"}, {p + "__blobServiceUri: is not for queues…"}},
		{{p + `="AccountName=v4lue;AccountKey=c2VjcmV0"`}, {p + quotes}},
		{{p + "='AccountName=v4lue;AccountKey=c2VjcmV0'"}, {p + quotes}},
		{{p + `=AccountName="v4lue";AccountKey=c2VjcmV0`}, {p + ": must have an AccountName…"}},
		{{p + "__serviceUri=http://v4lue"}, {p + "__serviceUri: must be the https address…"}},
		{{p + "=v4lue"}, {p + ": must be a connection string…"}},
		{{p + "=@Microsoft.KeyVault(v4lue)", p + "__accountName=abc"}, {p + ": is a Key Vault reference…"}},

		// Warnings name the account's settings that are not read.
		{{name, p + "__credential=managedidentity", p + "__clientId=c", p + "__blobServiceUri=https://b"}},
		{{p + "=", name}, nil, {p + ": is set but empty: the Functions host reads even that as a connection string. Remove it"}},
		{{connection, name}, nil, {p + "__accountName: is not read: " + p + " comes before it"}},
		{{connection, "ConnectionStrings__" + connection}, nil, {p + ": is not read: ConnectionStrings__" + p + " comes before it"}},
		{{name, p + "__queueServiceUri=https://q"}, nil, {p + "__queueServiceUri: is not read: " + p + "__accountName comes before it"}},
		{{name, p + "__clientID_=c"}, nil, {p + "__clientID_: is not read: is " + p + "__clientId meant?"}},
		{{name, p + ":credentail=c"}, nil, {p + ":credentail: is not read: is " + p + "__credential meant?"}},
		{{name, p + "__endpoint=e"}, nil, {p + "__endpoint: is not read"}},
		{{name, p + "__clientCertificate=c"}, nil, {p + "__clientCertificate: is read by the Functions host only: the handler cannot log in this way"}},
		{{name, "azurewebjobsstorage:accountname=xyz"}, nil, {
			p + "__accountName: is set more than once, as " + p + "__accountName and azurewebjobsstorage:accountname, with different values: keep one",
		}},
		{{name, p + "Account=c"}},
	} {
		wantLoad(t, c[0], c[1], c[2])
	}
}

// Unknown settings with a known prefix are named in a warning, with the setting that is probably meant.
func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	const unknown = ": is not a setting of userrelay and is not read"
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
		"KAFKA_SASL__PASSWORD":    "KAFKA_SASL_PASSWORD",
	} {
		wantLoad(t, []string{name + "=v4lue"}, nil, []string{name + unknown + ": is " + meant + " meant?"})
	}
	wantLoad(t, []string{"KAFKA_ACKS_AND_RETRIES=v4lue", "KAFKA_=v4lue"}, nil, []string{"KAFKA_" + unknown, "KAFKA_ACKS_AND_RETRIES" + unknown})
	wantLoad(t, []string{"KAFKA_HOME=v4lue", "Kafka_Topic=v4lue", "MY_KAFKA_TOPIC=v4lue"}, nil, nil)
	// The error for a missing setting also names the similar one that was set.
	wantLoad(t, []string{"KAFKA_BROKER=127.0.0.1:9", "KAFKA_BROKERS="}, []string{"KAFKA_BROKERS: is missing…"}, []string{"KAFKA_BROKER" + unknown + ": is KAFKA_BROKERS meant?"})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	const on, off = "AzureWebJobsStorage=UseDevelopmentStorage=true", "OUTBOX=off"
	for _, c := range []struct{ kafka, outbox, account, want, wrong string }{
		{"", "", on, "2s 1.5s", ""},
		{"100ms", "100ms", on, "100ms 100ms", ""},
		{"2s", "2s", on, "2s 2s", ""},
		{"4s", "", off, "4s", ""},
		{"99.999ms", "", on, "", "KAFKA_TIMEOUT"},
		{"-1s", "", on, "", "KAFKA_TIMEOUT"},
		{"2", "", on, "", "KAFKA_TIMEOUT"},
		{"2501ms", "", on, "", "KAFKA_TIMEOUT"},
		{"4001ms", "", off, "", "KAFKA_TIMEOUT"},
		{"", "99ms", on, "", "OUTBOX_TIMEOUT"},
		{"", "2", on, "", "OUTBOX_TIMEOUT"},
		{"2s", "2001ms", on, "", "OUTBOX_TIMEOUT"},
	} {
		env := []string{"KAFKA_TIMEOUT=" + c.kafka, "OUTBOX_TIMEOUT=" + c.outbox, c.account}
		if c.wrong != "" {
			wantLoad(t, env, []string{c.wrong + ": …"}, nil)
			continue
		}
		s := wantLoad(t, env, nil, nil)
		got := s.Kafka.Timeout.String()
		if s.Outbox != nil {
			got += fmt.Sprint(" ", s.Outbox.Timeout)
		}
		if got != c.want {
			t.Errorf("%q: got %v, want %v", env, got, c.want)
		}
	}
}

// Wrong settings of telemetry are an error for -check, and warnings for a serving handler.
func TestInsightsSettings(t *testing.T) {
	t.Parallel()
	const (
		id   = "01234567-89ab-cdef-0123-456789abcdef"
		key  = "InstrumentationKey=" + id
		west = key + ";IngestionEndpoint=https://westeurope-1.in.applicationingest.azure.com/;AADAudience=https://monitor.azure.us/"

		connectionName, identityName = "APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"

		openly = identityName + ": needs an ingestion endpoint of https in " + connectionName + ": a token must not be sent unencrypted"
	)
	managed, own := &identity.Identity{Kind: identity.Managed}, &identity.Identity{Kind: identity.Managed, Managed: azidentity.ClientID(id)}
	for name, c := range map[string]struct {
		connection, authentication string
		identity                   *identity.Identity
		wrong                      []string
	}{
		"neither":                     {"", "", nil, nil},
		"console only":                {" ", " ", nil, nil},
		"no token":                    {key, "", nil, nil},
		"the app's identity":          {west, "Authorization=AAD", managed, nil},
		"an identity of its own":      {west, " Authorization=AAD;ClientId=" + id, own, nil},
		"on this machine":             {key + ";IngestionEndpoint=http://127.0.0.1:1", "Authorization=AAD", managed, nil},
		"an identity without a use":   {"", "Authorization=AAD", managed, nil},
		"wrong connection":            {"v4lue", "", nil, []string{connectionName + ": must be Key=Value pairs…"}},
		"quotes":                      {`"` + key + `"`, "", nil, []string{connectionName + ": is in quotes…"}},
		"a reference":                 {"@Microsoft.KeyVault(SecretUri=https://v4lue)", "", nil, []string{connectionName + ": is a Key Vault reference…"}},
		"wrong identity":              {key, "v4lue", nil, []string{identityName + ": must have Authorization=AAD"}},
		"wrong identity, without use": {"", "Authorization=v4lue", nil, []string{identityName + ": must have Authorization=AAD; no other…"}},
		"both wrong":                  {key + ";AADAudience=v4lue", "Authorization=AAD;ClientId=v4lue", nil, []string{connectionName + ": must have an AADAudience…", identityName + ": must have a ClientId…"}},
		"a token unencrypted":         {key + ";IngestionEndpoint=http://v4lue.example.com", "Authorization=AAD", nil, []string{openly}},
	} {
		env := []string{connectionName + "=" + c.connection, identityName + "=" + c.authentication}
		s := wantLoad(t, env, c.wrong, nil)
		if diff := cmp.Diff(c.identity, s.Identity); diff != "" || (s.Insights != nil) != (c.wrong == nil && len(c.connection) > 1) {
			t.Errorf("%s: connection %+v, identity (-want +got):\n%s", name, s.Insights, diff)
		}
		if c.wrong == nil {
			continue
		}
		var warnings []string
		for _, line := range c.wrong {
			warnings = append(warnings, strings.TrimSuffix(line, "…")+"…")
		}
		for _, what := range []purpose{toServe, toTend} {
			s, err := load(variablesOf(append(env, "KAFKA_BROKERS=127.0.0.1:9", "OUTBOX=off", "FUNCTIONS_CUSTOMHANDLER_PORT=1")), what)
			if err != nil || s.Insights != nil || s.Identity != nil || !s.Lines || !agree(s.Warnings, warnings) {
				t.Errorf("%s: error %v, or it is used, or the warnings %q, want %q", name, err, s.Warnings, warnings)
			}
		}
		// Together with other mistakes it is listed as one of them.
		_, err := load(variablesOf(append(env, "OUTBOX=off")), toServe)
		if all := wrongIn(t, err); len(all) != len(c.wrong)+2 {
			t.Errorf("%s: got %q, want %q and two more", name, all, c.wrong)
		}
	}
}

// Names are matched as the host does. Of several spellings with different values one is used, and a warning names all.
func TestSpellings(t *testing.T) {
	t.Parallel()
	twice := []string{"KAFKA_TOPIC: is set more than once…"}
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
