package registration

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shown returns a user id for display, on one line. It quotes an id that could mislead a reader: an id may hold line
// feeds, spaces at its ends, invisible characters, and characters that reverse the direction of the text. All other
// ids, nearly all, are returned unchanged.
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
