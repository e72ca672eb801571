package main

import (
	neturl "net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pasted returns a value without what gets pasted along: white space, quotes, its own name as in NAME=value. The Actions do
// the same; auth0/testdata/secrets.json holds both together.
func pasted(name, value string) string {
	wrapping := regexp.MustCompile("(?i)^[\\s\u00a0\u200b\ufeff\"'`“”„‘’]+|[\\s\u00a0\u200b\ufeff\"'`“”„‘’]+$|^" + regexp.QuoteMeta(name) + `\s*[=:]`)
	for wrapping.MatchString(value) {
		value = wrapping.ReplaceAllString(value, "")
	}
	return value
}

// bareKey returns the key of what was pasted as one: the function's whole address, code=…, or with a header's name before
// it; %3D is how an address has =.
func bareKey(key string) string {
	key = regexp.MustCompile(`(?i)^(?:\S*[?&])?code=([^&#\s]*).*$`).ReplaceAllString(key, "$1")
	key = regexp.MustCompile(`(?i)^x-functions-key\s*[:=]\s*`).ReplaceAllString(key, "")
	escape := regexp.MustCompile(`(?i)%[0-9a-f]{2}`)
	for escape.MatchString(key) {
		decoded, err := neturl.PathUnescape(key)
		if err != nil || !utf8.ValidString(decoded) {
			return "\x00" // no key has that either
		}
		key = decoded
	}
	return strings.TrimSpace(key)
}

func withoutBearer(token string) string {
	return strings.TrimSpace(regexp.MustCompile(`(?i)^(authorization:\s*)?bearer\s`).ReplaceAllString(token, ""))
}
