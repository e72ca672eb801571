package certs_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"go.uber.org/goleak"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
	"userrelay/test/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func authority(tb testing.TB) *realkafka.CA {
	tb.Helper()
	return must.Get[*realkafka.CA](tb)(realkafka.NewCA("authority"))
}

func issue(tb testing.TB, ca *realkafka.CA, spec realkafka.CertSpec) realkafka.Cert {
	tb.Helper()
	return must.Get[realkafka.Cert](tb)(ca.Issue(spec))
}

func toPEM(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// file is a file that can be written again.
func file(tb testing.TB, name string, text []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := write(path, text); err != nil {
		tb.Fatal(err)
	}
	return path
}

// write replaces a file atomically, as renewal tools should.
func write(path string, text []byte) error {
	return errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path))
}

// sound returns the certificates of valid settings.
func sound(tb testing.TB, s certs.Settings) *certs.Certificates {
	tb.Helper()
	c, problems := certs.New(s)
	if len(problems) > 0 {
		tb.Fatalf("problems: %v", problems)
	}
	return c
}

// forms are the forms that a PEM text can take in a setting or a file.
func forms() map[string]func(string) string {
	lines := func(end string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, "\n", end) }
	}
	around := func(before, after string) func(string) string {
		return func(s string) string { return before + s + after }
	}
	const comment = "subject=CN = client\r\nkey: BEGINNING of a RECOMMENDED KEY, or the END\r\n----- not a line of it -----\r\n"
	return map[string]func(string) string{
		"as it is":                    lines("\n"),
		"carriage returns":            lines("\r\n"),
		"written out":                 lines(`\n`),
		"written out, with returns":   lines(`\r\n`),
		"written out twice":           lines(`\\r\\n`),
		"written out and in lines":    lines("\\n\n"),
		"spaces":                      lines(" "),
		"no line ends":                lines(""),
		"no white space":              func(s string) string { return strings.ReplaceAll(lines("")(s), " ", "") },
		"double line ends":            lines("\n\n"),
		"in quotes":                   around(`"`, `"`),
		"in single quotes":            around("'", "'\n"),
		"in escaped quotes":           around(`\"`, `\"`),
		"in quotes, written out":      func(s string) string { return `"` + lines(`\n`)(s) + `"` },
		"each line in quotes":         lines("\"\n\""),
		"indented":                    lines("\n    "),
		"indented with tabs":          lines("\n\t"),
		"indented, white space after": lines(" \n  "),
		"a byte order mark":           around("\uFEFF", ""),
		"a mark in quotes":            around("\"\uFEFF", `"`),
		"comments": func(s string) string {
			return comment + strings.ReplaceAll(s, "-----BEGIN", comment+"-----BEGIN") + comment
		},
		"no-break spaces": lines("\u00a0\n"),
		"base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 for URLs": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"base64 in lines": func(s string) string {
			return regexp.MustCompile(".{76}").ReplaceAllString(base64.StdEncoding.EncodeToString([]byte(lines("\r\n")(s))), "$0\n")
		},
		"UTF-16, little":     func(s string) string { return wide(s, binary.LittleEndian) },
		"UTF-16, big":        func(s string) string { return wide(s, binary.BigEndian) },
		"base64 of a UTF-16": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(wide(s, binary.LittleEndian))) },
	}
}

func wide(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\uFEFF" + s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// Every form of PEM is accepted, in a setting and in a file, and no certificate is skipped.
func TestForms(t *testing.T) {
	t.Parallel()
	first, second := authority(t), authority(t)
	cert := issue(t, first, realkafka.CertSpec{})
	bundle, chain := string(second.PEM())+string(first.PEM()), string(cert.CertPEM)+string(first.PEM())
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(bundle))
	for name, form := range forms() {
		setting := certs.Settings{CA: form(bundle), Cert: form(chain), Key: form(string(cert.KeyPEM))}
		inFile := certs.Settings{CA: file(t, "ca", []byte(setting.CA)), Cert: file(t, "cert", []byte(setting.Cert)), Key: file(t, "key", []byte(setting.Key))}
		for place, s := range map[string]certs.Settings{"setting": setting, "file": inFile} {
			t.Run(name+" in a "+place, func(t *testing.T) {
				t.Parallel()
				config := sound(t, s).TLS()
				if !config.RootCAs.Equal(pool) {
					t.Error("the authorities are others")
				}
				if got, err := config.GetClientCertificate(nil); err != nil || len(got.Certificate) != 2 {
					t.Errorf("a chain of 2: got %d, error %v", len(got.Certificate), err)
				}
			})
		}
	}
}

// Keys of every kind and form that TLS can use are accepted, and one file may hold all certificates and keys.
func TestKeys(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	cert, other := issue(t, ca, realkafka.CertSpec{}), issue(t, ca, realkafka.CertSpec{})
	certPEM, keyPEM, caPEM := string(cert.CertPEM), string(cert.KeyPEM), string(ca.PEM())
	block, _ := pem.Decode(cert.KeyPEM)
	key := must.Get[any](t)(x509.ParsePKCS8PrivateKey(block.Bytes)).(*ecdsa.PrivateKey) //nolint:errcheck,forcetypeassert // the authority makes no others
	ec := toPEM("EC PRIVATE KEY", must.Get[[]byte](t)(x509.MarshalECPrivateKey(key)))
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	all := keyPEM + certPEM + caPEM
	rsaKey := must.Get[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	rsaPEM := toPEM("CERTIFICATE", must.Get[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)))
	for name, s := range map[string]certs.Settings{
		"PKCS#8":               {Cert: certPEM, Key: keyPEM},
		"PKCS#1":               {Cert: rsaPEM, Key: toPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		"SEC 1":                {Cert: certPEM, Key: params + ec},
		"one text of all":      {Cert: all, Key: all},
		"the authority first":  {Cert: caPEM + certPEM, Key: keyPEM},
		"two keys":             {Cert: certPEM, Key: string(other.KeyPEM) + keyPEM},
		"X509 in the label":    {Cert: strings.ReplaceAll(certPEM, "CERTIFICATE", "X509 CERTIFICATE"), Key: keyPEM},
		"another key's label":  {Cert: certPEM, Key: strings.ReplaceAll(keyPEM, "PRIVATE KEY", "RSA PRIVATE KEY")},
		"the authority's, too": {CA: all, Cert: certPEM, Key: keyPEM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			presented(t, sound(t, s).TLS())
		})
	}
}

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
