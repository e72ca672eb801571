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

const eventHubsTests = "tests/event_hubs.tftest.hcl"

// newChecker finds what checks queries. Where it is missing the test is skipped, or fails when CI is set.
func newChecker(t *testing.T) kql.Checker {
	t.Helper()
	checker, err := kql.New("..")
	if err != nil {
		skip.For(t, fmt.Sprintf("%s, make test-infra (%v)", kql.HowTo, err))
	}
	return checker
}

// rendered returns the queries of alerts and workbook as Azure gets them, by the place and the name of each.
func rendered(s state) (map[string]string, error) {
	all := map[string]string{}
	for _, r := range s.Root.Resources {
		switch r.Type {
		case "azurerm_monitor_scheduled_query_rules_alert_v2":
			var criteria []struct {
				Query string `json:"query"`
			}
			if err := json.Unmarshal(r.Values["criteria"], &criteria); err != nil || len(criteria) != 1 {
				return nil, fmt.Errorf("%s: criteria: %w", r.Address, errors.Join(err))
			}
			all[fmt.Sprintf("alert/%v", r.Index)] = criteria[0].Query
		case "azurerm_application_insights_workbook":
			text, err := r.text("data_json")
			if err != nil {
				return nil, err
			}
			var workbook struct {
				Items []struct {
					Type    int    `json:"type"`
					Name    string `json:"name"`
					Content struct {
						Query string `json:"query"`
					} `json:"content"`
				} `json:"items"`
			}
			if err := json.Unmarshal([]byte(text), &workbook); err != nil {
				return nil, fmt.Errorf("%s: %w", r.Address, err)
			}
			for _, item := range workbook.Items {
				if item.Type == 3 { // a query
					all["workbook/"+item.Name] = item.Content.Query
				}
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there are no queries")
	}
	return all, nil
}

// queryOf returns which of the folder's queries stands at a place: the part of the workbook has its name, and an alert begins
// with it.
func queryOf(place, query string) (string, error) {
	if strings.HasPrefix(place, "workbook/") {
		return filepath.Base(place), nil
	}
	all, err := filepath.Glob("queries/*.kql")
	if err != nil {
		return "", err
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(query, string(text)) {
			return strings.TrimSuffix(filepath.Base(file), ".kql"), nil
		}
	}
	return "", fmt.Errorf("%s begins with no query of the folder", place)
}

// checkQueries returns what is wrong with the queries of alerts and workbook: by the tables' columns, or because they are
// not those of the folder queries.
func checkQueries(ctx context.Context, checker kql.Checker, temp string, s state) error {
	queries, err := rendered(s)
	if err != nil {
		return err
	}
	var wrong []error
	var files []string
	used := map[string]bool{}
	for place, query := range queries {
		name, err := queryOf(place, query)
		if err != nil {
			return err
		}
		used[name] = true
		source, err := os.ReadFile(filepath.Join("queries", name+".kql"))
		if err != nil {
			return err
		}
		// A person's example gave way to a parameter, and an alert may go on with a condition.
		filled := strings.NewReplacer("{UserId}", "auth0|61de2511fd334200aa221dff", "{Operation}", "0af7651916cd43dd8448eb211c80319c").Replace(query)
		rest, ok := strings.CutPrefix(filled, string(source))
		if !ok || rest != "" && (!strings.HasPrefix(place, "alert/") || !strings.HasPrefix(rest, "| where ") && !strings.HasPrefix(rest, "| summarize ")) {
			wrong = append(wrong, fmt.Errorf("%s is not queries/%s.kql, but for a condition", place, name))
		}
		file := filepath.Join(temp, strings.ReplaceAll(place, "/", "-")+".kql")
		if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
			return err
		}
		files = append(files, file)
	}
	found, err := checker.Check(ctx, files...)
	if err != nil {
		return err
	}
	for _, f := range found {
		wrong = append(wrong, fmt.Errorf("%s:%d: %s: %s", filepath.Base(f.File), f.Line, f.Code, f.Message))
	}
	all, err := filepath.Glob("queries/*.kql")
	if err != nil {
		return err
	}
	for _, file := range all {
		if name := strings.TrimSuffix(filepath.Base(file), ".kql"); !used[name] {
			wrong = append(wrong, fmt.Errorf("neither workbook nor alerts use queries/%s.kql", name))
		}
	}
	return errors.Join(wrong...)
}

func TestQueriesOfAlertsAndWorkbook(t *testing.T) {
	t.Parallel()
	tf, checker := newTerraform(t), newChecker(t)
	s, err := tf.applied(t.Context(), ".", eventHubsTests)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkQueries(t.Context(), checker, t.TempDir(), s); err != nil {
		t.Error(err)
	}
	queries, err := rendered(s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(queries["workbook/find-user"], `"{UserId}"`) || !strings.Contains(queries["workbook/transaction"], `"{Operation}"`) {
		t.Error("the workbook's parameters are not in its queries")
	}
}

// Whoever is called at night is led to a section that is there.
func TestAlertsNameTheRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("monitoring.tf")
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(runbook), -1) {
		sections[strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")] = true
	}
	named := regexp.MustCompile(`todo = "([^"]*)"`).FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Errorf("only %d alerts name one", len(named))
	}
	for _, m := range named {
		if !sections[m[1]] {
			t.Errorf("the runbook has no section %q", m[1])
		}
	}
}

// The queries stand in their folder and nowhere else.
func TestNoQueryStandsTwice(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("queries/*.kql")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); len(line) > 10 && !strings.HasPrefix(line, "//") {
				lines[line] = file
			}
		}
	}
	others := []string{}
	for _, pattern := range []string{"*.tf", "*.json", "templates/*", "tests/*.hcl", "tests/*/*.hcl"} {
		some, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, some...)
	}
	if len(lines) < 50 || !slices.Contains(others, "monitoring.tf") {
		t.Fatalf("only %d lines to look for in %q", len(lines), others)
	}
	for _, other := range others {
		text, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		for line, file := range lines {
			if strings.Contains(string(text), line) {
				t.Errorf("%s has a line of %s: %s", other, file, line)
			}
		}
	}
}
