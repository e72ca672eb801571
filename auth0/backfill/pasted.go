package main

import (
	neturl "net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pasted returns a value without text that is often pasted with it: white space, quotes, its name as in NAME=value.
// The Actions do the same; auth0/testdata/secrets.json tests both.
func pasted(name, value string) string {
	wrapping := regexp.MustCompile("(?i)^[\\s\u00a0\u200b\ufeff\"'`“”„‘’]+|[\\s\u00a0\u200b\ufeff\"'`“”„‘’]+$|^" + regexp.QuoteMeta(name) + `\s*[=:]`)
	for wrapping.MatchString(value) {
		value = wrapping.ReplaceAllString(value, "")
	}
	return value
}

// bareKey extracts a key from text that was pasted as one: the function's whole address, code=…, or a header's name
// and the key. In an address = is %3D.
func bareKey(key string) string {
	key = regexp.MustCompile(`(?i)^(?:\S*[?&])?code=([^&#\s]*).*$`).ReplaceAllString(key, "$1")
	key = regexp.MustCompile(`(?i)^x-functions-key\s*[:=]\s*`).ReplaceAllString(key, "")
	escape := regexp.MustCompile(`(?i)%[0-9a-f]{2}`)
	for escape.MatchString(key) {
		decoded, err := neturl.PathUnescape(key)
		if err != nil || !utf8.ValidString(decoded) {
			return "\x00" // not part of any key either
		}
		key = decoded
	}
	return strings.TrimSpace(key)
}

func withoutBearer(token string) string {
	return strings.TrimSpace(regexp.MustCompile(`(?i)^(authorization:\s*)?bearer\s`).ReplaceAllString(token, ""))
}
