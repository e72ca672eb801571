package contract_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// TestFormsPage compares the forms in http.md with those that the decoder recognises by one member or by two, of all names
// in its source. openapi.yaml permits what the decoder takes.
func TestFormsPage(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for path, text := range allSources(t) {
		if strings.Contains(path, "/handler/registration/") && !strings.HasSuffix(path, "_test.go") {
			for _, m := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(text, -1) {
				names[m[1]] = true
			}
		}
	}
	var found, alone []string
	for name := range names {
		if recognised(name) {
			found = append(found, name)
		} else {
			alone = append(alone, name)
		}
	}
	slices.Sort(alone)
	for i, a := range alone {
		for _, b := range alone[i+1:] {
			if recognised(a, b) {
				found = append(found, a+" "+b)
			}
		}
	}
	slices.Sort(found)
	if listed := listedForms(read(t, "docs/http.md")); len(found) < 4 || !slices.Equal(found, listed) {
		t.Errorf("forms, by the members that the decoder recognises (-code +table):\n%s", cmp.Diff(found, listed))
	}
	document := loadAPI(t)
	for _, form := range found {
		body := withMembers(strings.Fields(form)...)
		if decoded(body) == nil && !document.accepts("", []byte(body)) {
			t.Errorf("the decoder takes %s, and openapi.yaml does not permit it", body)
		}
	}
	for _, c := range envelopes(t) {
		_, w := posted(t, registration.Decoder{}, []byte(c.body), c.headers...)
		if w.Code == http.StatusOK && !document.accepts("", []byte(c.body)) {
			t.Errorf("%s: stored, and openapi.yaml does not permit it", c.what)
		}
	}
}

func withMembers(names ...string) string { return `{"` + strings.Join(names, `":"x","`) + `":"x"}` }

func decoded(body string) error {
	_, err := registration.Decoder{}.Decode(registration.Body{Reader: strings.NewReader(body)}, "", time.Time{})
	return err
}

// recognised says whether the decoder takes a body with these members for one of its forms, be it an invalid one.
func recognised(members ...string) bool {
	return fmt.Sprint(decoded(withMembers(members...))) != fmt.Sprint(decoded("{}"))
}

// listedForms returns the members by which the table recognises each form: of "`a` (or `b`) and `c`" a c and b c.
func listedForms(page string) (all []string) {
	_, table, _ := strings.Cut(page, "| recognised by |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range regexp.MustCompile(`(?m)^\|[^|]*\|([^|]*)\|`).FindAllStringSubmatch(table, -1) {
		forms := []string{""}
		for part := range strings.SplitSeq(row[1], " and ") {
			var longer []string
			for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(part, -1) {
				for _, form := range forms {
					longer = append(longer, strings.TrimSpace(form+" "+m[1]))
				}
			}
			forms = longer
		}
		all = append(all, forms...)
	}
	return slices.Sorted(slices.Values(all))
}
