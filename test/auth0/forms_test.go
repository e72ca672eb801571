package auth0

import (
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

const (
	formsPage  = root + "/docs/auth0.md"
	formsBegin = "<!-- forms: made by go test ./test/auth0 -run TestForms -update -->\n"
	formsEnd   = "<!-- end of forms -->\n"
)

// update says that pages and the recorded requests must be written.
var update = flag.Bool("update", false, "write the table of forms into docs/auth0.md, and callers/*.http, anew") //nolint:gochecknoglobals // a flag is one

// TestForms compares the tables of docs/auth0.md with the forms of other tests: of the secrets (TestAction and, in
// auth0/backfill, TestPasted), of exports (there, TestExports) and of times (TestIDs, TestAction).
func TestForms(t *testing.T) {
	t.Parallel()
	page := string(read(t, formsPage))
	before, rest, found := strings.Cut(page, formsBegin)
	_, after, ended := strings.Cut(rest, formsEnd)
	if !found || !ended {
		t.Fatal("the page has no place for the table")
	}
	want := before + formsBegin + formsTable(t) + formsEnd + after
	if *update {
		write(t, formsPage, []byte(want))
	} else if page != want {
		t.Error("docs/auth0.md has another table: run go test ./test/auth0 -run TestForms -update")
	}
}

func formsTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	head := func(title, what string) {
		_, _ = fmt.Fprintf(&b, "\n### %s\n\n| %s | | what becomes of it |\n| --- | --- | --- |\n", title, what) // a builder takes all
	}
	row := func(name, form, outcome string) {
		_, _ = fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(name), form, cell(outcome))
	}
	head("Secrets", "`FUNCTION_URL`, `FUNCTION_KEY`")
	for _, s := range fixture[struct{ Name, URL, Key, Problem string }](t, "secrets") {
		outcome := "sent to the function, the key in the header alone"
		if s.Problem != "" {
			outcome = "not sent: the secret " + s.Problem
		}
		row(s.Name, code(s.URL)+", "+code(s.Key), outcome)
	}
	head("Exports", "a file for the backfill")
	user := func(i int) string {
		return fmt.Sprintf(`{"user_id":"auth0|%d","created_at":"2026-11-21T00:00:0%d.000Z"}`, i, i)
	}
	users := strings.NewReplacer(user(0), "$USER0", user(1), "$USER1")
	for _, e := range fixture[struct {
		Name, Text, Base64 string
		Users              int
		Says               []string
	}](t, "exports") {
		form := code(users.Replace(e.Text))
		if e.Base64 != "" {
			form = "in base64: " + code(e.Base64)
		}
		outcome := append([]string{strconv.Itoa(e.Users) + " sent"}, e.Says...)
		row(e.Name, form, strings.Join(outcome, `; not sent: "`))
	}
	head("Times of creation", "`created_at`, with tenant and user id")
	for _, r := range fixture[struct{ Name, Tenant, UserID, CreatedAt, EventID string }](t, "ids") {
		row(r.Name, code(r.CreatedAt)+", "+code(r.Tenant)+", "+code(r.UserID), r.EventID)
	}
	return b.String()
}

// fixture reads a table of auth0/testdata.
func fixture[T any](t *testing.T, name string) (rows []T) {
	t.Helper()
	text := read(t, filepath.Join(sources, "testdata", name+".json"))
	if err := json.Unmarshal(text, &rows, json.MatchCaseInsensitiveNames(true)); err != nil || len(rows) == 0 {
		t.Fatalf("%s: %d rows, %v", name, len(rows), err)
	}
	return rows
}

// code shows a text with any characters, and cuts off long ones.
func code(s string) string {
	if s == "" {
		return "nothing"
	}
	const longest = 70
	quoted := strconv.QuoteToGraphic(s)
	shown := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if runes := []rune(shown); len(runes) > longest {
		shown = string(runes[:longest]) + "…"
	}
	return "`` " + cell(shown) + " ``"
}

// cell escapes a text for a cell of the table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
