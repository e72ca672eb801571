// Package queries_test holds the queries of this folder against the tables of Application Insights and against what the
// handler really sends. A name that drifts on either side makes a query find nothing, without a word.
package queries_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/infra/internal/kql"
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
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(text)
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
	switch text {
	case "True", "False", "1", "200", "503", ":", " to ", "":
		return true
	}
	return false
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
}

// Every name in every query, misspelt, must be noticed: else the test above checks nothing.
func TestMisspeltNamesAreNoticed(t *testing.T) {
	t.Parallel()
	sent := slices.Concat(emitted(t), ofHost())
	tried := 0
	for file, query := range queries(t) {
		p, err := read(query)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		wrong := map[string]string{}
		for _, key := range p.keys {
			wrong["customDimensions."+key] = "customDimensions." + key + "s"
		}
		for _, text := range append(p.texts, p.prefixes...) {
			if !ofKusto(text) {
				wrong[`"`+text] = `"x` + text
			}
		}
		for right, misspelt := range wrong {
			tried++
			missing, err := unknown(sent, strings.ReplaceAll(query, right, misspelt))
			if err != nil || len(missing) == 0 {
				t.Errorf("%s: %s for %s is not noticed: %v", file, misspelt, right, err)
			}
		}
	}
	if tried < 40 {
		t.Errorf("only %d names were tried", tried)
	}
	for _, query := range []string{`traces | where customDimensions["event"] == 1`, `traces | where message == 'x'`, `traces | where message == @"x"`} {
		if _, err := unknown(sent, query); err == nil {
			t.Errorf("%s: not refused", query)
		}
	}
}

func TestQueriesSayWhatTheyAnswer(t *testing.T) {
	t.Parallel()
	for file, query := range queries(t) {
		lines := strings.Split(query, "\n")
		if len(lines) < 4 || !strings.HasPrefix(lines[0], "// ") || lines[1] != "//" || !strings.HasPrefix(lines[2], "// ") {
			t.Errorf("%s begins without a comment on what it answers, an empty one, and how to use it", file)
		}
	}
}

// An event id is good for one source, and a user id for one tenant: what joins on less takes two registrations for one.
func TestQueriesKnowAnEventByAllOfIt(t *testing.T) {
	t.Parallel()
	joins := 0
	for file, query := range queries(t) {
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

// check gives files to the Kusto language service. Where that is missing the test is skipped, or fails when CI is set.
func check(t *testing.T, files ...string) []kql.Finding {
	t.Helper()
	checker, err := kql.New("../..")
	if err != nil {
		skip.For(t, kql.HowTo+" (make test-queries)")
	}
	found, err := checker.Check(t.Context(), files...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Also, what is wrong in a copy of a query must be noticed in each: else nothing is checked.
func TestQueriesFitTheTables(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var files []string
	wrong := map[string]string{}
	for file, query := range queries(t) {
		files = append(files, file)
		for _, mistake := range [][2]string{
			{"timestamp > ", "timestmp > "},
			{"timestamp between", "timestmp between"},
			{"ago(", "agoo("},
			{"| where ", "| were "},
			{"summarize ", "summarise "},
			{"itemCount", "itemCnt"},
			{"operation_Id", "operation_ID"},
			{"type ==", "typ =="},
			{"dependencies\n", "dependency\n"},
			{"traces\n", "trace\n"},
			{"\n| order by ", "\n| order "},
		} {
			copied := strings.ReplaceAll(query, mistake[0], mistake[1])
			if copied == query {
				continue
			}
			name := filepath.Join(folder, fmt.Sprintf("%d.kql", len(files)))
			if err := os.WriteFile(name, []byte(copied), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, name)
			wrong[name] = fmt.Sprintf("%s with %q", file, mistake[1])
		}
	}
	if len(wrong) < 40 {
		t.Errorf("only %d mistakes were tried", len(wrong))
	}
	for _, f := range check(t, files...) {
		if filepath.Dir(f.File) != folder {
			t.Errorf("%s:%d: %s: %s", f.File, f.Line, f.Code, f.Message)
		}
		delete(wrong, f.File)
	}
	if d := cmp.Diff(map[string]string{}, wrong); d != "" {
		t.Errorf("not noticed:\n%s", d)
	}
}
