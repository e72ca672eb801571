package funchost

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// guard decides who may call a function.
type guard struct {
	keys Keys
	open bool // everybody may
}

// allows says whether the request has a key for fn: for level function the function's, the host's or the master key,
// for admin the master key only.
func (g guard) allows(fn *function, r *http.Request) bool {
	if g.open || fn.level == anonymous {
		return true
	}
	shown := shownKey(r)
	if shown == "" {
		return false
	}
	valid := []string{g.keys.Master}
	if fn.level == functionLevel {
		valid = append(valid, g.keys.Host)
		for name, key := range g.keys.Functions {
			if strings.EqualFold(name, fn.name) {
				valid = append(valid, key)
			}
		}
	}
	// It compares every key, as hashes of equal length, so that the time reveals nothing.
	got, ok := sha256.Sum256([]byte(shown)), 0
	for _, key := range valid {
		want := sha256.Sum256([]byte(key))
		ok |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return ok == 1
}

// shownKey returns the key of the request: the header's, even if empty or wrong, otherwise the first code in the
// query.
func shownKey(r *http.Request) string {
	if values := r.Header.Values("X-Functions-Key"); len(values) > 0 {
		return values[0]
	}
	for _, p := range parseQuery(r.URL.RawQuery) {
		if strings.EqualFold(p.name, "code") {
			return p.value
		}
	}
	return ""
}
