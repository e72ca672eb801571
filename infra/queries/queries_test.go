// Package queries_test holds the queries of this folder against the tables of Application Insights and against what the
// handler really sends. A name that drifts on either side makes a query find nothing, without a word.
package queries_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

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

// Parts of a query.
type parts struct {
	keys     []string // of customDimensions
	texts    []string // that must be known whole
	prefixes []string // that what is known must begin with
}

// read takes a query apart. It reads the plain forms only, and refuses others: what it cannot read it cannot check.
func read(query string) (p parts, err error) {
	query = regexp.MustCompile(`(?m)//.*$`).ReplaceAllString(query, "")
	// What a person puts in is nobody's name.
	query = regexp.MustCompile(`let \w+ = "[^"]*";`).ReplaceAllString(query, "")
	if strings.ContainsAny(query, "'`@\\") {
		return p, errors.New(`strings must be plain ones, in "`)
	}
	if strings.Contains(query, "customDimensions[") || strings.Contains(query, "parse_json") || strings.Contains(query, "bag_unpack") {
		return p, errors.New("properties must be read as customDimensions.name")
	}
	for _, m := range regexp.MustCompile(`customDimensions\.(\w+)`).FindAllStringSubmatch(query, -1) {
		p.keys = append(p.keys, m[1])
	}
	for _, m := range regexp.MustCompile(`(startswith )?"([^"]*)"`).FindAllStringSubmatch(query, -1) {
		if m[1] != "" {
			p.prefixes = append(p.prefixes, m[2])
		} else {
			p.texts = append(p.texts, m[2])
		}
	}
	return p, nil
}

// ofKusto says whether a text of a query is no name: a value of a column that Application Insights fills itself, or a
// separator.
func ofKusto(text string) bool {
	return slices.Contains([]string{"True", "False", "1", "200", "503", ":", " to ", ""}, text)
}

// unknown returns what a query names and nobody sends. A property must be one of the items that the query is about: those
// with a text that it names, or all where it names none.
func unknown(sent []item, query string) (all []string, err error) {
	p, err := read(query)
	if err != nil {
		return nil, err
	}
	var items []item
	for _, i := range sent {
		if slices.ContainsFunc(p.texts, func(text string) bool { return !ofKusto(text) && slices.Contains(i.texts, text) }) {
			items = append(items, i)
		}
	}
	if len(items) == 0 {
		items = sent
	}
	for _, key := range p.keys {
		if !slices.ContainsFunc(items, func(i item) bool { return slices.Contains(i.keys, key) }) {
			all = append(all, "property "+key)
		}
	}

	texts := []string{}
	for _, i := range sent {
		texts = append(texts, i.texts...)
	}
	for _, text := range p.texts {
		if !ofKusto(text) && !slices.Contains(texts, text) {
			all = append(all, fmt.Sprintf("text %q", text))
		}
	}
	for _, prefix := range p.prefixes {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(text, prefix) }) {
			all = append(all, fmt.Sprintf("text that begins with %q", prefix))
		}
	}
	return all, nil
}

func TestQueriesAskForWhatIsSent(t *testing.T) {
	t.Parallel()
	sent := slices.Concat(emitted(t), ofHost())
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
