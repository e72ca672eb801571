package setting_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/setting"
)

func TestPairs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][][2]string{
		"":                     nil,
		" ; ;;":                nil,
		"Name=Value":           {{"name", "Value"}},
		"A=1;B=2;":             {{"a", "1"}, {"b", "2"}},
		" A = 1 ;\n B = 2 \r;": {{"a", "1"}, {"b", "2"}},
		"A=x=y==":              {{"a", "x=y=="}},
		"A=":                   {{"a", ""}},
		"A=1;A=2":              {{"a", "1"}, {"a", "2"}},
		"=x":                   {{"", "x"}},
		"secret":               {{"", ""}},
	} {
		var got [][2]string
		for name, value := range setting.Pairs(text) {
			got = append(got, [2]string{name, value})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		for range setting.Pairs(text) {
			break // which it must bear
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"https://example.com": true, "http://[::1]:80/path/": true, "ftp://example.com": true,
		"": false, "example.com": false, "https://": false, "https://:443/": false, "https:///path": false, "https:opaque": false,
		"https://user@example.com": false, "https://example.com/?x": false, "https://example.com/#x": false,
		"https://a b": false, "https://a\x7f": false, "https://example.com:port": false,
	} {
		if u, err := setting.URL(text); (err == nil) != ok || (u != nil) != ok || err != nil && err.Error() != "not a plain URL" {
			t.Errorf("%q: %v, %v", text, u, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "localhost": true, "LOCALHOST": true,
		"": false, "10.0.0.1": false, "0.0.0.0": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "127.0.0.1:80": false,
	} {
		if got := setting.Loopback(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}
