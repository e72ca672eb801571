package infra_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/infra/internal/kql"
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

// queries returns the queries of alerts and workbook as Azure gets them, by the place and the name of each.
func (s state) queries() (map[string]string, error) {
	type query struct {
		Type    int    `json:"type"` // of an item: 3 is a query
		Name    string `json:"name"`
		Query   string `json:"query"`
		Content struct {
			Query string `json:"query"`
		} `json:"content"`
	}
	all := map[string]string{}
	for _, r := range s.Root.Resources {
		var criteria []query
		var text string
		var workbook struct {
			Items []query `json:"items"`
		}
		switch r.Type {
		case "azurerm_monitor_scheduled_query_rules_alert_v2":
			if err := json.Unmarshal(r.Values["criteria"], &criteria); err != nil || len(criteria) != 1 {
				return nil, fmt.Errorf("%s: criteria: %w", r.Address, errors.Join(err))
			}
			all[fmt.Sprintf("alert/%v", r.Index)] = criteria[0].Query
		case "azurerm_application_insights_workbook":
			if err := json.Unmarshal(r.Values["data_json"], &text); err != nil {
				return nil, fmt.Errorf("%s: %w", r.Address, err)
			}
			if err := json.Unmarshal([]byte(text), &workbook); err != nil {
				return nil, fmt.Errorf("%s: %w", r.Address, err)
			}
		}
		for _, item := range workbook.Items {
			if item.Type == 3 {
				all["workbook/"+item.Name] = item.Content.Query
			}
		}
	}
	return all, nil
}

// checkQueries returns what is wrong with the queries of alerts and workbook: by the tables' columns, or because they are
// not those of the folder queries. In the workbook a person's example has given way to
// a parameter.
func checkQueries(ctx context.Context, checker kql.Checker, temp string, s state) (wrong []string, err error) {
	sources := map[string]string{}
	files, err := filepath.Glob("queries/*.kql")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sources[strings.TrimSuffix(filepath.Base(file), ".kql")] = string(text)
	}
	examples := strings.NewReplacer("auth0|61de2511fd334200aa221dff", "{UserId}", "0af7651916cd43dd8448eb211c80319c", "{Operation}")
	// An alert may go on with a condition.
	condition := regexp.MustCompile(`^(\| where |\| summarize |$)`)
	used := map[string]bool{}
	queries, err := s.queries()
	if err != nil {
		return nil, err
	}
	files = nil
	for place, query := range queries {
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
		if err := os.WriteFile(file, []byte(query), 0o600); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	for name := range sources {
		if !used[name] {
			wrong = append(wrong, fmt.Sprintf("neither workbook nor alerts use queries/%s.kql", name))
		}
	}
	found, err := checker.Check(ctx, files...)
	for _, f := range found {
		wrong = append(wrong, fmt.Sprintf("%s:%d: %s: %s", filepath.Base(f.File), f.Line, f.Code, f.Message))
	}
	return wrong, err
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
