// Package setting parses the formats that several settings share: pairs, addresses, GUIDs.
//
// No error repeats any part of a value, because settings can be secrets.
package setting

import (
	"errors"
	"iter"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Pairs yields the pairs of a string such as "Name=Value;Name=Value", the format of Azure's connection strings. Names
// are returned in lower case, names and values without white space around them. Empty parts are skipped. A part that
// is not a pair has the name "".
func Pairs(s string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for part := range strings.SplitSeq(s, ";") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				name = ""
			}
			if !yield(strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)) {
				return
			}
		}
	}
}

var errURL = errors.New("not a plain URL")

// URL parses an address with a scheme, a host, an optional path and nothing else.
func URL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errURL // the parser's own error repeats the text
	}
	return u, nil
}

// Loopback says whether a host is this machine.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// IsGUID says whether s is a GUID, with dashes and without braces.
func IsGUID(s string) bool {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString(s)
}
