package registration

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shown returns a user id as a person is shown it, on one line. One that could be taken for something else is quoted: an id
// may hold line feeds, spaces at its ends, and characters that nobody sees or that turn the text around. All others, nearly
// all, stay as they are.
func Shown(userID string) string {
	if strings.HasPrefix(userID, `"`) || strings.TrimSpace(userID) != userID ||
		strings.ContainsFunc(userID, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(userID)
	}
	return userID
}

// Cut returns the beginning of s, at most limit bytes and whole runes.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
