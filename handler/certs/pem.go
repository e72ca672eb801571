package certs

import (
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf16"
)

// block is a block of a PEM text.
type block struct {
	label     string // without its spaces: "CERTIFICATE", "RSAPRIVATEKEY"; "" where it cannot be read
	der       []byte
	encrypted bool
	damaged   bool // its first or last line is missing, or the text between them is not base64
}

// clean removes what portals, shells and editors add to a text: a byte order mark, UTF-16, quotes, white space. If the
// whole text is base64 of a PEM text, it decodes it.
func clean(text string) string {
	text = trim(decode16(text))
	if looksLikePEM(text) {
		return text
	}
	coded := onlyBase64(strings.NewReplacer("-", "+", "_", "/").Replace(text))
	if inner, err := base64.RawStdEncoding.DecodeString(coded); err == nil {
		if pem := trim(decode16(string(inner))); looksLikePEM(pem) {
			return pem
		}
	}
	return text
}

func looksLikePEM(text string) bool {
	return strings.Contains(text, "-----BEGIN") || remnants().MatchString(text)
}

func trim(text string) string {
	const around = "\uFEFF\"'"
	for {
		trimmed := strings.Trim(strings.TrimSpace(text), around)
		if escaped, ok := strings.CutPrefix(trimmed, `\"`); ok {
			trimmed = strings.TrimSuffix(escaped, `\`)
		}
		if trimmed == text {
			return text
		}
		text = trimmed
	}
}

// decode16 reads UTF-16 with a byte order mark, as PowerShell writes it.
func decode16(text string) string {
	var order binary.ByteOrder
	switch {
	case strings.HasPrefix(text, "\xFF\xFE"):
		order = binary.LittleEndian
	case strings.HasPrefix(text, "\xFE\xFF"):
		order = binary.BigEndian
	default:
		return text
	}
	bytes := []byte(text[2:])
	units := make([]uint16, 0, len(bytes)/2)
	for ; len(bytes) > 1; bytes = bytes[2:] {
		units = append(units, order.Uint16(bytes))
	}
	return string(utf16.Decode(units))
}

// remnants finds parts of the first or the last line of a block. It ignores comments between blocks.
func remnants() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:BEGIN|END)\s*(?:(?:X509|TRUSTED|RSA|DSA|EC|ENCRYPTED|OPENSSH|PRIVATE|PUBLIC)\s*)*(?:CERTIFICATE|KEY)\b`)
}

// blocks reads a cleaned PEM text. Line ends may have any form: real ones, written out as \n, or missing. It returns
// everything that looks like a block; one that cannot be read is marked as damaged.
func blocks(text string) []block {
	begins, remnants := regexp.MustCompile(`-{5}\s*BEGIN\s*([A-Z0-9][A-Z0-9\s]*?)\s*-{5}`), remnants()
	var all []block
	between := func(text string) {
		if remnants.MatchString(text) {
			all = append(all, block{damaged: true})
		}
	}
	for {
		begin := begins.FindStringSubmatchIndex(text)
		if begin == nil {
			between(text)
			return all
		}
		between(text[:begin[0]])
		label := strings.Join(strings.Fields(text[begin[2]:begin[3]]), "")
		text = text[begin[1]:]
		limit := len(text)
		if next := begins.FindStringIndex(text); next != nil {
			limit = next[0]
		}
		end := endOf(label).FindStringIndex(text[:limit])
		if end == nil {
			all, text = append(all, block{label: label, damaged: true}), text[limit:]
			continue
		}
		all, text = append(all, decode(label, text[:end[0]])), text[end[1]:]
	}
}

// endOf finds the last line of a block. The label consists of letters and digits.
func endOf(label string) *regexp.Regexp {
	return regexp.MustCompile(`-{5}\s*END\s*` + strings.Join(strings.Split(label, ""), `\s*`) + `\s*-{5}`)
}

// decode decodes the text between the first and the last line of a block.
func decode(label, body string) block {
	b := block{label: label, encrypted: strings.Contains(body, "Proc-Type:") || strings.Contains(body, "DEK-Info:")}
	var err error
	b.der, err = base64.RawStdEncoding.DecodeString(onlyBase64(body))
	b.damaged = err != nil || len(b.der) == 0
	return b
}

// onlyBase64 removes everything that is not base64, and also line ends and tabs that are written out: their letters
// are not data.
func onlyBase64(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			for i+1 < len(text) && text[i+1] == '\\' { // written out twice
				i++
			}
			if i+1 < len(text) && strings.IndexByte("nrt", text[i+1]) >= 0 {
				i++
			}
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			b.WriteByte(c)
		default:
		}
	}
	return b.String()
}
