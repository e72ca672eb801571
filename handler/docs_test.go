package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// readTable reads docs/settings.md: the names in its table, and the defaults by the first name of a row.
func readTable(t *testing.T) (names []string, defaults map[string]string, page string) {
	t.Helper()
	page = string(must.Get[[]byte](t)(os.ReadFile("../docs/settings.md")))
	defaults = map[string]string{}
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(line, "| `") {
			continue
		}
		row := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1)
		defaults[row[0][1]] = strings.TrimSpace(cells[2])
		for _, name := range row {
			names = append(names, name[1])
		}
	}
	return names, defaults, page
}

// The page names exactly the settings that are read.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	inTable, _, page := readTable(t)
	if len(inTable) < 20 {
		t.Fatalf("the table has %q", inTable)
	}
	code := map[string]bool{}
	for _, environ := range environments() {
		for _, name := range read(t, environ) {
			code[name] = true
		}
	}
	for _, name := range inTable {
		if !code[fold(name)] {
			t.Errorf("%s is in the table, and the code does not read it", name)
		}
	}
	for name := range code {
		if !strings.Contains(name, "azurewebjobsazurewebjobsstorage") && !named(strings.ToLower(page), name) { // the page names the prefix
			t.Errorf("%s is read, and the page does not name it", name)
		}
	}
}

// named says whether a lower-case page has a setting's name, or its last part for a setting of the account.
func named(page, name string) bool {
	if strings.Contains(page, "`"+strings.ReplaceAll(name, ":", "__")+"`") {
		return true
	}
	section, part := name[:max(0, strings.LastIndexByte(name, ':'))], name[strings.LastIndexByte(name, ':')+1:]
	return strings.HasSuffix(section, "azurewebjobsstorage") && strings.Contains(page, "__"+part+"`")
}

// The time limits in the guarantees are the defaults.
func TestGuaranteesPage(t *testing.T) {
	t.Parallel()
	text := must.Get[[]byte](t)(os.ReadFile("../docs/guarantees.md"))
	s := wantLoad(t, []string{"AzureWebJobsStorage=UseDevelopmentStorage=true"}, nil, nil)
	seconds := func(d time.Duration) string { return strings.Replace(d.String(), "s", " s", 1) }
	if limits := "the time limit for Kafka is " + seconds(s.Kafka.Timeout) + ", for the outbox " + seconds(s.Outbox.Timeout) + "\n"; !strings.Contains(string(text), limits) {
		t.Errorf("the page does not say %q", limits)
	}
}

// The defaults on the page are those of the code.
func TestDefaultsPage(t *testing.T) {
	t.Parallel()
	plain := wantLoad(t, []string{"KAFKA_BROKERS=kafka.example.com:9093", "AzureWebJobsStorage=UseDevelopmentStorage=true"}, nil, nil)
	token := wantLoad(t, []string{"KAFKA_BROKERS=kafka.example.com:9093,other:9093", "KAFKA_SASL_MECHANISM=OAUTHBEARER"}, nil, nil)
	loopback := wantLoad(t, []string{"KAFKA_BROKERS=127.0.0.1:9092"}, nil, nil)
	if plain.Kafka.Certificates == nil || token.Kafka.Certificates == nil || loopback.Kafka.Certificates != nil {
		t.Error("KAFKA_SECURITY_PROTOCOL has another default")
	}
	_, err := load(variablesOf(nil), toCheck)
	if wrong := wrongIn(t, err); !agree(wrong, []string{"KAFKA_BROKERS: is missing…", "AzureWebJobsStorage: is missing…"}) {
		t.Errorf("without settings: %q", wrong)
	}
	code := func(s string) string {
		if s == "" {
			return "none"
		}
		return "`" + s + "`"
	}
	word := func(yes bool, ifYes, ifNo string) string { return code(map[bool]string{true: ifYes, false: ifNo}[yes]) }
	want := map[string]string{
		"KAFKA_BROKERS":                             "required",
		"KAFKA_TOPIC":                               code(plain.Kafka.Topic),
		"KAFKA_SECURITY_PROTOCOL":                   "`SASL_SSL` with a mechanism, else `PLAINTEXT` for loopback, else `SSL`",
		"KAFKA_SASL_MECHANISM":                      code(plain.Kafka.Mechanism),
		"KAFKA_SASL_USERNAME":                       code(plain.Kafka.Username + plain.Kafka.Password),
		"KAFKA_OAUTH_SCOPE":                         strings.Replace(code(token.Kafka.Scope), "kafka.example.com", "<host of the first broker>", 1),
		"KAFKA_OAUTH_EXTENSIONS":                    code(strings.Repeat("x", len(token.Kafka.Extension))),
		"KAFKA_TLS_CA":                              "the system's",
		"KAFKA_TLS_CERT":                            "none",
		"KAFKA_TIMEOUT":                             code(plain.Kafka.Timeout.String()) + " " + code(plain.Outbox.Timeout.String()),
		"OUTBOX":                                    word(plain.Outbox != nil, "on", "off"),
		"AzureWebJobsStorage":                       "required, or the next",
		"AzureWebJobsStorage__accountName":          "",
		"AzureWebJobsStorage__credential":           "the identity that the machine has",
		"RECORD_PROFILE":                            word(plain.Profile, "full", "id"),
		"AUTH0_TENANT":                              code(plain.Tenant),
		"APPLICATIONINSIGHTS_CONNECTION_STRING":     "none: console only",
		"APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "none: the instrumentation key is enough",
		"LOG_LEVEL":                                 code(strings.ToLower(plain.LogLevel.String())),
		"LOG_FORMAT":                                "`json` in Azure, else " + word(plain.JSON, "json", "text"),
	}
	if plain.Insights != nil || plain.Identity != nil || plain.Kafka.Certificates.TLS().RootCAs != nil {
		t.Error("telemetry or the authorities have another default")
	}
	_, defaults, page := readTable(t)
	if diff := cmp.Diff(want, defaults); diff != "" {
		t.Errorf("defaults (-code +page):\n%s", diff)
	}
	if limits := "each at least 100 ms, together at most 4 s"; minTimeout.String() != "100ms" || maxDelivery.String() != "4s" || !strings.Contains(page, limits) {
		t.Errorf("the page does not say %q, or the code does otherwise", limits)
	}
}
