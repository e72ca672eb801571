package registration_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode"

	"userrelay/handler/registration"
)

func TestShown(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"auth0|61de2511fd334200aa221dff": "auth0|61de2511fd334200aa221dff",
		`waad|conn|DOMAIN\jane doe`:      `waad|conn|DOMAIN\jane doe`,
		"auth0|Zażółć-山田太郎-🎉":            "auth0|Zażółć-山田太郎-🎉",
		`a"b`:                            `a"b`,
		`"a"`:                            `"\"a\""`,
		"auth0|1\n{\"level\":\"ERROR\"}": `"auth0|1\n{\"level\":\"ERROR\"}"`,
		"auth0|\u202e1":                  `"auth0|\u202e1"`,
		"auth0|1\u200b":                  `"auth0|1\u200b"`,
		"auth0|1\x1b[31m":                `"auth0|1\x1b[31m"`,
		"auth0|\u00a01":                  `"auth0|\u00a01"`,
		"auth0|\u20281":                  `"auth0|\u20281"`,
		"\ufeffauth0|1":                  `"\ufeffauth0|1"`,
		" auth0|1":                       `" auth0|1"`,
		"auth0|1 ":                       `"auth0|1 "`,
		"auth0|1\x00":                    `"auth0|1\x00"`,
	} {
		if got := registration.Shown(id); got != want {
			t.Errorf("Shown(%q) = %s, want %s", id, got, want)
		}
	}
}

// FuzzShown checks that the result is one line of visible characters, and differs for different ids.
func FuzzShown(f *testing.F) {
	f.Add("auth0|1", "auth0|1\n")
	f.Add(`"a"`, "a")
	f.Add(`a\n`, "a\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		shown := registration.Shown(a)
		if strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("Shown(%q) = %q", a, shown)
		}
		if strings.HasPrefix(shown, `"`) {
			if back, err := strconv.Unquote(shown); err != nil || back != a {
				t.Errorf("Shown(%q) = %s, which is %q", a, shown, back)
			}
		} else if shown != a {
			t.Errorf("Shown(%q) = %s", a, shown)
		}
		if (shown == registration.Shown(b)) != (a == b) {
			t.Errorf("%q and %q are shown as %s", a, b, shown)
		}
	})
}
