package certs_test

import (
	"strings"
	"testing"
	"unicode"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
)

// Any value of the settings is either read or refused, and a refusal repeats nothing of it.
func FuzzSettings(f *testing.F) {
	ca := authority(f)
	cert := issue(f, ca, realkafka.CertSpec{})
	for _, form := range forms() {
		f.Add(form(string(cert.CertPEM)))
		f.Add(form(string(cert.KeyPEM)))
	}
	f.Add("-----BEGIN CERTIFICATE-----")
	f.Add("-----BEGIN ENCRYPTED PRIVATE KEY----------END")
	f.Fuzz(func(t *testing.T, value string) {
		if strings.Contains(value, "/") && len(value) < 64 {
			t.Skip("it could be the path of a file")
		}
		for _, s := range []certs.Settings{{CA: value}, {Cert: value, Key: string(cert.KeyPEM)}, {Cert: string(cert.CertPEM), Key: value}} {
			made, problems := certs.New(s)
			if (made == nil) == (len(problems) == 0) {
				t.Fatalf("certificates %v, problems %v", made != nil, problems)
			}
			for _, p := range problems {
				if len(value) > 100 && strings.Contains(p.Text, value[:40]) {
					t.Errorf("a value is told: %q", p.Text)
				}
			}
			if made != nil {
				made.TLS()
			}
		}
	})
}

// A certificate is read with any line breaks and foreign characters between its lines, and refused if characters of it
// are missing.
func FuzzLines(f *testing.F) {
	pem := string(authority(f).PEM())
	body := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(pem, "-----BEGIN CERTIFICATE-----\n"), "-----END CERTIFICATE-----\n"), "\n", "")
	f.Add("\r\n", uint16(64), false)
	f.Add(`\n`, uint16(1), false)
	f.Add(" \" ", uint16(7), true)
	f.Fuzz(func(t *testing.T, separator string, width uint16, lose bool) {
		if strings.ContainsFunc(separator, func(r rune) bool {
			return r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '+' || r == '/' || r == '-' || r == '\\')
		}) && separator != `\n` && separator != `\r\n` || width == 0 {
			t.Skip("it is base64, or half of what stands for a line end")
		}
		text := body
		if lose {
			i := int(width) % len(body)
			text = body[:i] + body[i+1:]
		}
		var b strings.Builder
		b.WriteString("-----BEGIN CERTIFICATE-----")
		for text != "" {
			n := min(int(width), len(text))
			b.WriteString(separator + text[:n])
			text = text[n:]
		}
		b.WriteString(separator + "-----END CERTIFICATE-----")
		_, problems := certs.New(certs.Settings{CA: b.String()})
		if lost := lose && body[int(width)%len(body)] != '='; lost != (len(problems) == 1) {
			t.Errorf("%q: %v", b.String(), problems)
		}
	})
}
