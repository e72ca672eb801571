package portal_test

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"userrelay/local/portal"
)

func TestPageIsServed(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/?q=auth0%7C1&operation=x": "text/html; charset=utf-8",
		"/page.css": "text/css; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/outbox.js": "text/javascript; charset=utf-8",
	} {
		res := r.send(t, http.MethodGet, path, "")
		if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != want || len(res.body) < 1000 {
			t.Errorf("%s: status %d, %s, %d bytes; want %s", path, res.StatusCode, got, len(res.body), want)
		}
	}
	for _, path := range []string{"/page.html", "/portal.go", "/nothing", "/nothing.js", "/page", "/page/page.js", "/..%2fportal.go"} {
		if res := r.send(t, http.MethodGet, path, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, res.StatusCode)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPageNamesItsOwnPartsOnly(t *testing.T) {
	t.Parallel()
	html, css := read(t, "page/page.html"), read(t, "page/page.css")
	scripts, err := filepath.Glob("page/*.js")
	if err != nil || len(scripts) < 2 {
		t.Fatal(scripts, err)
	}
	var all strings.Builder
	for _, name := range scripts {
		text := read(t, name)
		if n := strings.Count(text, "\n"); n > 300 {
			t.Errorf("%s has %d lines", name, n)
		}
		all.WriteString(text)
	}
	js := all.String()
	for _, m := range regexp.MustCompile(`from '([^']*)'`).FindAllStringSubmatch(js, -1) {
		if !slices.Contains(scripts, filepath.Join("page", m[1])) {
			t.Errorf("a module imports %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if !strings.HasPrefix(m[1], "data:") && !strings.HasPrefix(m[1], "#") && m[1] != "page.css" && m[1] != "page.js" {
			t.Errorf("page.html names %s", m[1])
		}
	}
	if m := regexp.MustCompile(`url\(|@import|style="|innerHTML|insertAdjacentHTML`).FindString(html + css + js); m != "" {
		t.Errorf("the page has %s", m)
	}
	for _, m := range regexp.MustCompile(`\$\('([^']+)'\)`).FindAllStringSubmatch(js, -1) {
		if !strings.Contains(html, fmt.Sprintf("id=%q", m[1])) {
			t.Errorf("a module wants %s, which page.html does not have", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?:aria-\w+|for)="([a-z-]+)"`).FindAllStringSubmatch(html, -1) {
		if strings.Contains(m[1], "-") && !strings.Contains(html, fmt.Sprintf("id=%q", m[1])) {
			t.Errorf("page.html names %s, which it does not have", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`var\((--[\w-]+)`).FindAllStringSubmatch(css, -1) {
		if !strings.Contains(css+js, m[1]+": ") && !strings.Contains(js, "'"+m[1]+"'") {
			t.Errorf("page.css uses %s, which nothing sets", m[1])
		}
	}
}

// WCAG 2.2 AA: 4.5 for text, 3 for the visible parts of controls (1.4.3, 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	css := read(t, "page/page.css")
	before, after, _ := strings.Cut(css, "(prefers-color-scheme: dark)")
	light, dark := colours(before), colours(after)
	if len(light) != len(dark) || len(light) < 15 {
		t.Fatalf("%d colours in light, %d in dark", len(light), len(dark))
	}
	for scheme, palette := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, c := range []struct {
			front string
			least float64
			backs []string
		}{
			{"text", 4.5, []string{"back", "panel", "raised"}},
			{"muted", 4.5, []string{"back", "panel", "raised"}},
			{"bad-text", 4.5, []string{"bad-back", "panel", "raised"}},
			{"plain-text", 4.5, []string{"plain-back"}},
			{"good-text", 4.5, []string{"good-back"}},
			{"warn-text", 4.5, []string{"warn-back"}},
			{"on-accent", 4.5, []string{"accent"}},
			{"accent-text", 4.5, []string{"back", "panel", "raised"}},
			{"text", 4.5, []string{"mark"}},
			{"accent", 3, []string{"back", "panel", "raised", "plain-back"}},
			{"edge", 3, []string{"back", "panel", "raised", "plain-back"}},
		} {
			for _, back := range c.backs {
				if got := contrast(t, palette[c.front], palette[back]); got < c.least {
					t.Errorf("%s: %s on %s has %.2f, want %.1f", scheme, c.front, back, got, c.least)
				}
			}
		}
	}
}

// colours returns the variables of the first block with a colour.
func colours(css string) map[string]string {
	_, block, _ := strings.Cut(css, ":root {")
	block, _, _ = strings.Cut(block, "}")
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`--([\w-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		all[m[1]] = m[2]
	}
	return all
}

// contrast is the ratio of WCAG's relative luminances.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(hex string) (sum float64) {
		if len(hex) != 6 {
			t.Fatalf("no colour: %q", hex)
		}
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}
