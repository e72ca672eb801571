// Package queries_test compares the queries of this folder with the tables of Application Insights and with the items that
// the handler sends. A name that differs makes a query find nothing, without an error.
package queries_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/infra/internal/kql"
	"userrelay/test/must"
	"userrelay/test/skip"
)

// queries returns the text of each query by its file's name.
func queries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.kql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no queries here: %v", err)
	}
	all := map[string]string{}
	for _, file := range files {
		all[file] = string(must.Get[[]byte](t)(os.ReadFile(file)))
	}
	return all
}

// item is one that is sent: what queries may ask for.
type item struct {
	texts []string // its "event" and "errorClass", its message or name, its type
	keys  []string // of its customDimensions
}

// sent returns the items of the handler, which are the golden file of handler/insights, and those of others.
func sent(t *testing.T) []item {
	t.Helper()
	all := ofHost()
	for line := range bytes.Lines(must.Get[[]byte](t)(os.ReadFile("../../handler/insights/testdata/envelopes.jsonl"))) {
		if line[0] == '#' {
			continue
		}
		var envelope struct {
			Data struct {
				BaseData struct {
					Name, Message, Type string
					Properties          map[string]string
				}
			}
		}
		if err := json.Unmarshal(line, &envelope, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		d := envelope.Data.BaseData
		all = append(all, item{
			[]string{d.Properties["event"], d.Properties["errorClass"], d.Message, d.Name, d.Type}, slices.Collect(maps.Keys(d.Properties)),
		})
	}
	return all
}

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

// ofKusto says whether a text of a query is no name: a value of a column that Application Insights fills itself, or a
// separator.
func ofKusto(text string) bool {
	return slices.Contains([]string{"True", "False", "1", "200", "503", ":", " to ", ""}, text)
}

// unknown returns what a query names and nobody sends. A property must be one of the items that the query is about: those
// with a text that it names, or all where it names none. It reads plain forms only, and refuses others, which it cannot
// check.
func unknown(sent []item, query string) (all []string, err error) {
	// Comments, and what a person puts in, are nobody's names.
	query = regexp.MustCompile(`(?m)//.*$|let \w+ = "[^"]*";`).ReplaceAllString(query, "")
	if strings.ContainsAny(query, "'`@\\") {
		return nil, errors.New(`strings must be plain ones, in "`)
	}
	if strings.Contains(query, "customDimensions[") || strings.Contains(query, "parse_json") || strings.Contains(query, "bag_unpack") {
		return nil, errors.New("properties must be read as customDimensions.name")
	}
	var texts []string
	for _, i := range sent {
		texts = append(texts, i.texts...)
	}
	about := sent
	if named := slices.DeleteFunc(slices.Clone(sent), func(i item) bool {
		return !slices.ContainsFunc(i.texts, func(text string) bool { return !ofKusto(text) && strings.Contains(query, `"`+text+`"`) })
	}); len(named) > 0 {
		about = named
	}
	for _, m := range regexp.MustCompile(`customDimensions\.(\w+)`).FindAllStringSubmatch(query, -1) {
		if !slices.ContainsFunc(about, func(i item) bool { return slices.Contains(i.keys, m[1]) }) {
			all = append(all, "property "+m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(startswith )?"([^"]*)"`).FindAllStringSubmatch(query, -1) {
		begins := func(text string) bool { return strings.HasPrefix(text, m[2]) }
		switch {
		case m[1] != "" && !slices.ContainsFunc(texts, begins):
			all = append(all, fmt.Sprintf("text that begins with %q", m[2]))
		case m[1] == "" && !ofKusto(m[2]) && !slices.Contains(texts, m[2]):
			all = append(all, fmt.Sprintf("text %q", m[2]))
		}
	}
	return all, nil
}

func TestQueriesAskForWhatIsSent(t *testing.T) {
	t.Parallel()
	sent := sent(t)
	for file, query := range queries(t) {
		missing, err := unknown(sent, query)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, what := range missing {
			t.Errorf("%s: the handler sends no %s", file, what)
		}
	}
	// The same with misspelt names, which must be noticed, and with forms that are not read.
	for query, want := range map[string]string{
		`traces | where customDimensions.event == "received" | project customDimensions.userIds`:  "[property userIds] <nil>",
		`traces | where customDimensions.event == "received" | project customDimensions.queuedMs`: "[property queuedMs] <nil>",
		`traces | where customDimensions.event == "receive"`:                                      `[text "receive"] <nil>`,
		`traces | where message startswith "Receved ID"`:                                          `[text that begins with "Receved ID"] <nil>`,
		`traces | where customDimensions["event"] == 1`:                                           "[] properties must be read as customDimensions.name",
		`traces | where message == 'x'`:                                                           `[] strings must be plain ones, in "`,
		`traces | where message == @"x"`:                                                          `[] strings must be plain ones, in "`,
	} {
		if missing, err := unknown(sent, query); fmt.Sprint(missing, " ", err) != want {
			t.Errorf("%s: got %v %v, want %s", query, missing, err, want)
		}
	}
}

// host.json keeps all rows of the host that queries ask for.
func TestHostKeepsWhatQueriesAskFor(t *testing.T) {
	t.Parallel()
	var host struct {
		Logging struct {
			Levels   map[string]string `json:"logLevel"`
			Insights struct {
				Sampling struct {
					Enabled bool `json:"isEnabled"`
				} `json:"samplingSettings"`
			} `json:"applicationInsights"`
		} `json:"logging"`
	}
	if err := json.Unmarshal(must.Get[[]byte](t)(os.ReadFile("../../host.json")), &host); err != nil {
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
}

// An event id is good for one source, and a user id for one tenant: what joins on less takes two registrations for one.
func TestQueriesKnowAnEventByAllOfIt(t *testing.T) {
	t.Parallel()
	joins := 0
	for file, query := range queries(t) {
		if !regexp.MustCompile(`^// .+\n//\n// `).MatchString(query) {
			t.Errorf("%s begins without a comment on what it answers, an empty one, and how to use it", file)
		}
		for _, on := range regexp.MustCompile(`\| join [^\n]* on ([^\n]*)`).FindAllStringSubmatch(query, -1) {
			keys := strings.Split(on[1], ", ")
			if !slices.Contains(keys, "eventId") {
				continue
			}
			joins++
			if !slices.Contains(keys, "source") || !slices.Contains(keys, "userId") {
				t.Errorf("%s joins on %s", file, on[1])
			}
		}
	}
	if joins < 2 {
		t.Errorf("%d joins by event were found", joins)
	}
}

// TestQueriesFitTheTables gives the queries to the Kusto language service, with wrong ones, which it must refuse.
func TestQueriesFitTheTables(t *testing.T) {
	t.Parallel()
	checker, err := kql.New("../..")
	if err != nil {
		skip.For(t, kql.HowTo+" (make test-queries)")
	}
	files, folder := slices.Sorted(maps.Keys(queries(t))), t.TempDir()
	var want []string
	for _, query := range []string{
		"traces | where timestmp > ago(1h)", "traces | where timestamp > agoo(1h)", "traces | were timestamp > ago(1h)", "trace | take 1",
		"dependencies | summarize sum(itemCnt)", "requests | project operation_ID", "traces | order timestamp",
	} {
		name := filepath.Join(folder, fmt.Sprintf("%d.kql", len(want)))
		if err := os.WriteFile(name, []byte(query), 0o600); err != nil {
			t.Fatal(err)
		}
		files, want = append(files, name), append(want, name)
	}
	findings, err := checker.Check(t.Context(), files...)
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	for _, f := range findings {
		if filepath.Dir(f.File) != folder {
			t.Errorf("%s:%d: %s: %s", f.File, f.Line, f.Code, f.Message)
		}
		wrong = append(wrong, f.File)
	}
	slices.Sort(wrong)
	if d := cmp.Diff(want, slices.Compact(wrong)); d != "" {
		t.Errorf("wrong queries (-want +got):\n%s", d)
	}
}
