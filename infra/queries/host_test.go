package queries_test

import (
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// ofHost returns the items of the Functions host that queries ask for. The host is not ours to run here, so what it sends is
// listed: a request for each call, by the function's name, and a trace when it moves a message to the poison queue, whose
// text names the queue (azure-functions-host, LogConstants.InvocationIdKey; azure-sdk-for-net, QueueProcessor). Its traces of
// each call and its calls to the handler are not among them: host.json keeps them out.
func ofHost() []item {
	return []item{
		{[]string{"RegisterUser"}, []string{"InvocationId"}},
		{[]string{"userrelay-outbox-poison"}, nil},
		{[]string{"Health"}, []string{"InvocationId"}},
		// The workspace's own, of its cap (Microsoft, "Set daily cap on Log Analytics workspace").
		{[]string{"Ingestion", "OverQuota"}, nil},
	}
}

// host.json keeps the rows of the host that queries ask for, all of them, and the queries do without the rest.
func TestHostKeepsWhatQueriesAskFor(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../host.json")
	if err != nil {
		t.Fatal(err)
	}
	var host struct {
		Logging struct {
			Levels   map[string]string `json:"logLevel"`
			Insights struct {
				Dependencies bool `json:"enableDependencyTracking"`
				Sampling     struct {
					Enabled bool `json:"isEnabled"`
				} `json:"samplingSettings"`
			} `json:"applicationInsights"`
		} `json:"logging"`
	}
	if err := json.Unmarshal(text, &host); err != nil {
		t.Fatal(err)
	}
	if level := host.Logging.Levels["Host.Results"]; level != "Information" {
		t.Errorf("requests are kept at Information, and Host.Results is %q", level)
	}
	if level := host.Logging.Levels["default"]; level != "Warning" && level != "Information" {
		t.Errorf("the host tells of poison as a warning, and the default is %q", level)
	}
	if host.Logging.Insights.Sampling.Enabled {
		t.Error("the host samples: what is sampled away cannot be found")
	}
	for file, query := range queries(t) {
		if host.Logging.Levels["Function"] != "Information" && (strings.Contains(query, "Executed '") || strings.Contains(query, "Executing '")) {
			t.Errorf("%s asks for traces that host.json keeps out", file)
		}
		if !host.Logging.Insights.Dependencies && strings.Contains(query, "127.0.0.1") {
			t.Errorf("%s asks for the host's calls, which host.json keeps out", file)
		}
	}
}
