// Package setting reads the forms that several settings have in common: pairs, addresses, GUIDs.
//
// No error holds anything of what was read: settings can be secrets.
package setting

import (
	"errors"
	"iter"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Pairs yields the pairs of a string such as "Name=Value;Name=Value", as connection strings of Azure's are: names in lower
// case, no white space around names and values. Empty parts are left out. What is no pair has the name "".
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

// URL reads an address that has a scheme, a host and, but for a path, nothing else.
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
