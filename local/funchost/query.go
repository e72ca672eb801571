package funchost

import (
	"net/url"
	"strings"
)

// param is one name and value of a query string, decoded.
type param struct{ name, value string }

// parseQuery reads a query string as ASP.NET does: it returns every part in order, including parts without "=" or with
// invalid escapes.
func parseQuery(raw string) []param {
	var params []param
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		params = append(params, param{unescape(name), unescape(value)})
	}
	return params
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// mergeQuery changes a query string as forward mode does: it merges names that differ only in case (with the last
// spelling), joins their values by commas, escapes everything again, and adds "=" to a bare name.
func mergeQuery(raw string) string {
	var merged []param
next:
	for _, p := range parseQuery(raw) {
		for i, m := range merged {
			if strings.EqualFold(m.name, p.name) {
				merged[i] = param{p.name, m.value + "," + p.value}
				continue next
			}
		}
		merged = append(merged, p)
	}
	parts := make([]string, len(merged))
	for i, p := range merged {
		parts[i] = escape(p.name) + "=" + escape(p.value)
	}
	return strings.Join(parts, "&")
}

// escape encodes as .NET's UrlEncoder.Default does, which leaves more characters alone than net/url.
func escape(s string) string {
	const hex, plain = "0123456789ABCDEF", "!$()*,-.;@_~"
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
