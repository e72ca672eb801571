package infra_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/infra/internal/kql"
	"userrelay/test/must"
	"userrelay/test/skip"
)

// newChecker finds what checks queries. Where it is missing the test is skipped, or fails when CI is set.
func newChecker(t *testing.T) kql.Checker {
	t.Helper()
	checker, err := kql.New("..")
	if err != nil {
		skip.For(t, fmt.Sprintf("%s, make test-infra (%v)", kql.HowTo, err))
	}
	return checker
}

// decoded reads a value of JSON.
func decoded[T any](t *testing.T, text []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// queries returns the queries of alerts and workbook as Azure gets them, by the place and the name of each.
func (s state) queries(t *testing.T) map[string]string {
	t.Helper()
	type criterion struct {
		Query string `json:"query"`
	}
	type workbook struct {
		Items []struct {
			Type    int       `json:"type"` // 3 is a query
			Name    string    `json:"name"`
			Content criterion `json:"content"`
		} `json:"items"`
	}
	all := map[string]string{}
	for _, r := range s.Root.Resources {
		switch r.Type {
		case "azurerm_monitor_scheduled_query_rules_alert_v2":
			all[fmt.Sprintf("alert/%v", r.Index)] = decoded[[1]criterion](t, r.Values["criteria"])[0].Query
		case "azurerm_application_insights_workbook":
			for _, item := range decoded[workbook](t, []byte(decoded[string](t, r.Values["data_json"]))).Items {
				if item.Type == 3 {
					all["workbook/"+item.Name] = item.Content.Query
				}
			}
		}
	}
	return all
}

// checkQueries returns what is wrong with the queries of alerts and workbook: by the tables' columns, or because they are
// not those of the folder queries. In the workbook a person's example has given way to
// a parameter.
func checkQueries(t *testing.T, checker kql.Checker, temp string, s state) (wrong []string) {
	t.Helper()
	sources := map[string]string{}
	for _, file := range must.Get[[]string](t)(filepath.Glob("queries/*.kql")) {
		sources[strings.TrimSuffix(filepath.Base(file), ".kql")] = read(t, file)
	}
	examples := strings.NewReplacer("auth0|61de2511fd334200aa221dff", "{UserId}", "0af7651916cd43dd8448eb211c80319c", "{Operation}")
	// An alert may go on with a condition.
	condition := regexp.MustCompile(`^(\| where |\| summarize |$)`)
	var files []string
	used := map[string]bool{}
	for place, query := range s.queries(t) {
		kind, name := filepath.Split(place)
		right := kind == "workbook/" && query == examples.Replace(sources[name])
		for source, text := range sources {
			if rest, ok := strings.CutPrefix(query, text); ok && kind == "alert/" && condition.MatchString(rest) {
				name, right = source, true
			}
		}
		if !right {
			wrong = append(wrong, fmt.Sprintf("%s is not queries/%s.kql", place, name))
		}
		used[name] = true
		file := filepath.Join(temp, strings.ReplaceAll(place, "/", "-")+".kql")
		write(t, file, query)
		files = append(files, file)
	}
	for name := range sources {
		if !used[name] {
			wrong = append(wrong, fmt.Sprintf("neither workbook nor alerts use queries/%s.kql", name))
		}
	}
	for _, f := range must.Get[[]kql.Finding](t)(checker.Check(t.Context(), files...)) {
		wrong = append(wrong, fmt.Sprintf("%s:%d: %s: %s", filepath.Base(f.File), f.Line, f.Code, f.Message))
	}
	return wrong
}

// Whoever is called at night is led to a section that is there.
func TestAlertsNameTheRunbook(t *testing.T) {
	t.Parallel()
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(read(t, "../docs/runbook.md"), -1) {
		sections = append(sections, strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"))
	}
	named := regexp.MustCompile(`todo = "([^"]*)"`).FindAllStringSubmatch(read(t, "monitoring.tf"), -1)
	if len(named) < 10 {
		t.Errorf("only %d alerts name one", len(named))
	}
	for _, m := range named {
		if !slices.Contains(sections, m[1]) {
			t.Errorf("the runbook has no section %q", m[1])
		}
	}
}
