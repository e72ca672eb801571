package auth0

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"userrelay/test/markdown"
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
	want := before + formsBegin + forms(t) + formsEnd + after
	if *update {
		write(t, formsPage, []byte(want))
	} else if page != want {
		t.Error("docs/auth0.md has another table: run go test ./test/auth0 -run TestForms -update")
	}
}

// forms are the tables.
func forms(t *testing.T) string {
	t.Helper()
	columns := func(form string) *markdown.Table {
		return new(markdown.Table).Text("form", form, "what becomes of it")
	}
	secrets := columns("`FUNCTION_URL`, `FUNCTION_KEY`")
	for _, s := range fixture[[]struct{ Name, URL, Key, Problem string }](t, "secrets") {
		outcome := "sent to the function, the key in the header alone"
		if s.Problem != "" {
			outcome = "not sent: the secret " + s.Problem
		}
		secrets.Row(s.Name, code(s.URL)+", "+code(s.Key), outcome)
	}
	exports := columns("a file for the backfill")
	user := func(i int) string {
		return fmt.Sprintf(`{"user_id":"auth0|%d","created_at":"2026-11-21T00:00:0%d.000Z"}`, i, i)
	}
	users := strings.NewReplacer(user(0), "$USER0", user(1), "$USER1")
	for _, e := range fixture[[]struct {
		Name, Text, Base64 string
		Users              int
		Says               []string
	}](t, "exports") {
		form := code(users.Replace(e.Text))
		if e.Base64 != "" {
			form = "in base64: " + code(e.Base64)
		}
		outcome := append([]string{strconv.Itoa(e.Users) + " sent"}, e.Says...)
		exports.Row(e.Name, form, strings.Join(outcome, `; not sent: "`))
	}
	times := columns("`created_at`, with tenant and user id")
	for _, r := range fixture[[]struct{ Name, Tenant, UserID, CreatedAt, EventID string }](t, "ids") {
		times.Row(r.Name, code(r.CreatedAt)+", "+code(r.Tenant)+", "+code(r.UserID), r.EventID)
	}
	return fmt.Sprintf("\n### Secrets\n\n%s\n### Exports\n\n%s\n### Times of creation\n\n%s", secrets, exports, times)
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
	return "`` " + shown + " ``"
}
