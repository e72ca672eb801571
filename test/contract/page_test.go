package contract_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// TestFormsPage compares the forms in http.md with those that the decoder recognises by one member or by two, of all names
// in its source.
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
}

// recognised says whether the decoder takes a body with these members for one of its forms, be it an invalid one.
func recognised(members ...string) bool {
	decode := func(body string) string {
		_, err := registration.Decoder{}.Decode(registration.Body{Reader: strings.NewReader(body)}, "", time.Time{})
		return fmt.Sprint(err)
	}
	return decode(`{"`+strings.Join(members, `":"x","`)+`":"x"}`) != decode("{}")
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
