package certs_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
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
	"unicode/utf16"

	"go.uber.org/goleak"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
	"userrelay/test/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a new certificate authority.
func authority(tb testing.TB) *realkafka.CA {
	tb.Helper()
	return must.Get[*realkafka.CA](tb)(realkafka.NewCA("authority"))
}

// issue makes a certificate.
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
	write(tb, path, text)
	return path
}

// write replaces a file atomically, as renewal tools should.
func write(tb testing.TB, path string, text []byte) {
	tb.Helper()
	if err := errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path)); err != nil {
		tb.Fatal(err)
	}
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
		for place, put := range map[string]func(*testing.T, string) string{
			"setting": func(_ *testing.T, s string) string { return s },
			"file":    func(t *testing.T, s string) string { t.Helper(); return file(t, "f", []byte(s)) },
		} {
			t.Run(name+" in a "+place, func(t *testing.T) {
				t.Parallel()
				config := sound(t, certs.Settings{CA: put(t, form(bundle)), Cert: put(t, form(chain)), Key: put(t, form(string(cert.KeyPEM)))}).TLS()
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
	for name, c := range map[string]struct {
		s    certs.Settings
		want string // the first certificate
	}{
		"PKCS#8":               {certs.Settings{Cert: certPEM, Key: keyPEM}, certPEM},
		"PKCS#1":               {certs.Settings{Cert: rsaPEM, Key: toPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))}, rsaPEM},
		"SEC 1":                {certs.Settings{Cert: certPEM, Key: params + ec}, certPEM},
		"one text of all":      {certs.Settings{Cert: all, Key: all}, certPEM},
		"the authority first":  {certs.Settings{Cert: caPEM + certPEM, Key: keyPEM}, certPEM},
		"two keys":             {certs.Settings{Cert: certPEM, Key: string(other.KeyPEM) + keyPEM}, certPEM},
		"X509 in the label":    {certs.Settings{Cert: strings.ReplaceAll(certPEM, "CERTIFICATE", "X509 CERTIFICATE"), Key: keyPEM}, certPEM},
		"another key's label":  {certs.Settings{Cert: certPEM, Key: strings.ReplaceAll(keyPEM, "PRIVATE KEY", "RSA PRIVATE KEY")}, certPEM},
		"the authority's, too": {certs.Settings{CA: all, Cert: certPEM, Key: keyPEM}, certPEM},
	} {
		got, err := sound(t, c.s).TLS().GetClientCertificate(nil)
		if err != nil || toPEM("CERTIFICATE", got.Certificate[0]) != c.want {
			t.Errorf("%s: the first certificate is not the client's, error %v", name, err)
		}
	}
}

const secret = "v4lue" // is in what is wrong, and nobody may tell it

// If a setting cannot be used, a sentence names it and says what to do, without repeating its value.
func TestSentences(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	cert, other := issue(t, ca, realkafka.CertSpec{}), issue(t, ca, realkafka.CertSpec{})
	certPEM, keyPEM := string(cert.CertPEM), string(cert.KeyPEM)
	relabel := func(from, to string) string { return strings.ReplaceAll(keyPEM, from, to) }
	block, _ := pem.Decode(cert.CertPEM)
	legacy := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	folder := t.TempDir()
	type problems []string // what they begin with
	for name, c := range map[string]struct {
		s    certs.Settings
		want problems
	}{
		"no file":                      {certs.Settings{CA: "/nowhere/" + secret}, problems{"KAFKA_TLS_CA: is not PEM text, which begins with -----BEGIN, and no file of that name exists"}},
		"a password":                   {certs.Settings{CA: secret}, problems{"KAFKA_TLS_CA: is not PEM text"}},
		"something long":               {certs.Settings{CA: strings.Repeat(secret, 1000)}, problems{"KAFKA_TLS_CA: is neither PEM text, which begins with -----BEGIN, nor the path"}},
		"a folder":                     {certs.Settings{CA: folder}, problems{"KAFKA_TLS_CA: is the path of a folder"}},
		"a device":                     {certs.Settings{CA: os.DevNull}, problems{"KAFKA_TLS_CA: is not the path of an ordinary file"}},
		"an empty file":                {certs.Settings{CA: file(t, "empty.pem", []byte("\n"))}, problems{"KAFKA_TLS_CA: is the path of an empty file"}},
		"a large file":                 {certs.Settings{CA: file(t, "large.pem", make([]byte, 1<<20+1))}, problems{"KAFKA_TLS_CA: is the path of a file of more than 1 MiB"}},
		"a file of something":          {certs.Settings{CA: file(t, "some.pem", []byte(secret))}, problems{"KAFKA_TLS_CA: holds no certificate in PEM"}},
		"DER":                          {certs.Settings{CA: file(t, "ca.der", block.Bytes)}, problems{"KAFKA_TLS_CA: is binary, not PEM text: convert it"}},
		"a Java keystore":              {certs.Settings{CA: file(t, "ca.jks", []byte("\xFE\xED\xFE\xED\x00\x02"+secret))}, problems{"KAFKA_TLS_CA: is binary, not PEM text: convert it"}},
		"a key as CA":                  {certs.Settings{CA: keyPEM}, problems{"KAFKA_TLS_CA: holds a private key where a certificate belongs"}},
		"PKCS#7":                       {certs.Settings{CA: strings.ReplaceAll(certPEM, "CERTIFICATE", "PKCS7")}, problems{"KAFKA_TLS_CA: holds PKCS#7"}},
		"a request":                    {certs.Settings{CA: strings.ReplaceAll(certPEM, "CERTIFICATE", "CERTIFICATE REQUEST")}, problems{"KAFKA_TLS_CA: holds a certificate signing request"}},
		"OpenSSL's own form":           {certs.Settings{CA: strings.ReplaceAll(certPEM, "CERTIFICATE", "TRUSTED CERTIFICATE")}, problems{"KAFKA_TLS_CA: holds a certificate in OpenSSL's own format"}},
		"only the first line":          {certs.Settings{CA: "-----BEGIN CERTIFICATE-----"}, problems{"KAFKA_TLS_CA: holds a certificate that is damaged"}},
		"cut off":                      {certs.Settings{CA: certPEM[:len(certPEM)-40]}, problems{"KAFKA_TLS_CA: holds a certificate that is damaged"}},
		"from a word processor":        {certs.Settings{CA: strings.ReplaceAll(certPEM, "-----", "\u2013\u2013")}, problems{"KAFKA_TLS_CA: holds a certificate that is damaged"}},
		"without hyphens":              {certs.Settings{CA: strings.ReplaceAll(certPEM, "-----", "")}, problems{"KAFKA_TLS_CA: holds a certificate that is damaged"}},
		"not a certificate":            {certs.Settings{CA: "-----BEGIN CERTIFICATE-----" + secret + "-----END CERTIFICATE-----"}, problems{"KAFKA_TLS_CA: holds a certificate that is damaged"}},
		"a key without":                {certs.Settings{Key: keyPEM}, problems{"KAFKA_TLS_CERT: is missing"}},
		"a certificate without":        {certs.Settings{Cert: certPEM}, problems{"KAFKA_TLS_KEY: is missing"}},
		"swapped":                      {certs.Settings{Cert: keyPEM, Key: certPEM}, problems{"KAFKA_TLS_CERT: holds a private key where a certificate belongs: is it swapped with KAFKA_TLS_KEY?", "KAFKA_TLS_KEY: holds a certificate where its private key belongs: is it swapped with KAFKA_TLS_CERT?"}},
		"another key":                  {certs.Settings{Cert: certPEM, Key: string(other.KeyPEM)}, problems{"KAFKA_TLS_KEY: is not the key of the certificate in KAFKA_TLS_CERT"}},
		"encrypted":                    {certs.Settings{Cert: certPEM, Key: relabel("PRIVATE", "ENCRYPTED PRIVATE")}, problems{"KAFKA_TLS_KEY: is encrypted"}},
		"encrypted, the old way":       {certs.Settings{Cert: certPEM, Key: legacy}, problems{"KAFKA_TLS_KEY: is encrypted"}},
		"encrypted, without line ends": {certs.Settings{Cert: certPEM, Key: strings.ReplaceAll(legacy, "\n", " ")}, problems{"KAFKA_TLS_KEY: is encrypted"}},
		"OpenSSH":                      {certs.Settings{Cert: certPEM, Key: relabel("PRIVATE", "OPENSSH PRIVATE")}, problems{"KAFKA_TLS_KEY: is in OpenSSH's own format"}},
		"a public key":                 {certs.Settings{Cert: certPEM, Key: relabel("PRIVATE", "PUBLIC")}, problems{"KAFKA_TLS_KEY: holds a public key"}},
		"a damaged key":                {certs.Settings{Cert: certPEM, Key: strings.Replace(keyPEM, "MI", "", 1)}, problems{"KAFKA_TLS_KEY: is damaged"}},
		"a key cut off":                {certs.Settings{Cert: certPEM, Key: keyPEM[:len(keyPEM)-30]}, problems{"KAFKA_TLS_KEY: is damaged"}},
		"a key, no hyphens":            {certs.Settings{Cert: certPEM, Key: strings.ReplaceAll(keyPEM, "-", "")}, problems{"KAFKA_TLS_KEY: is damaged"}},
		"a key of another use":         {certs.Settings{Cert: certPEM, Key: x25519(t)}, problems{"KAFKA_TLS_KEY: is a key of a kind that TLS does not use"}},
		"no key":                       {certs.Settings{Cert: certPEM, Key: file(t, "key.pem", []byte("key: "+secret))}, problems{"KAFKA_TLS_KEY: holds no private key in PEM"}},
		"all at once":                  {certs.Settings{CA: secret, Cert: filepath.Join(folder, secret), Key: legacy}, problems{"KAFKA_TLS_CA: ", "KAFKA_TLS_CERT: ", "KAFKA_TLS_KEY: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, got := certs.New(c.s)
			if made != nil || len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i, p := range got {
				text := p.Name + ": " + p.Text
				if !strings.HasPrefix(text, c.want[i]) || strings.Contains(text, secret) {
					t.Errorf("got %q, want %q", text, c.want[i])
				}
				if strings.Contains(text, folder) {
					t.Errorf("the path is told: %q", text)
				}
			}
		})
	}
}

func x25519(t *testing.T) string {
	t.Helper()
	key := must.Get[*ecdh.PrivateKey](t)(ecdh.X25519().GenerateKey(rand.Reader))
	return toPEM("PRIVATE KEY", must.Get[[]byte](t)(x509.MarshalPKCS8PrivateKey(key)))
}

// A damaged certificate of a bundle is never skipped silently.
func TestDamagedBundle(t *testing.T) {
	t.Parallel()
	three := [3]string{string(authority(t).PEM()), string(authority(t).PEM()), string(authority(t).PEM())}
	for name, damage := range map[string]func(string) string{
		"a letter too few":          func(s string) string { return strings.Replace(s, "MII", "MI", 1) },
		"another letter":            func(s string) string { return strings.Replace(s, "MII", "MIX", 1) },
		"no end":                    func(s string) string { return strings.Replace(s, "-----END CERTIFICATE-----\n", "", 1) },
		"half an end":               func(s string) string { return strings.Replace(s, "-----END CERTIFICATE-----", "-----END CERTIF", 1) },
		"another end":               func(s string) string { return strings.Replace(s, "END CERTIFICATE", "END CERTIFICATES", 1) },
		"no beginning":              func(s string) string { return strings.Replace(s, "-----BEGIN CERTIFICATE-----\n", "", 1) },
		"a hyphen too few":          func(s string) string { return strings.Replace(s, "-----BEGIN", "----BEGIN", 1) },
		"a hyphen too few, at end":  func(s string) string { return strings.Replace(s, "-----END", "----END", 1) },
		"nothing in it":             func(string) string { return "-----BEGIN CERTIFICATE----------END CERTIFICATE-----" },
		"a line too few":            func(s string) string { return s[:100] + s[165:] },
		"something behind":          func(s string) string { return strings.Replace(s, "-----END", "AAAA-----END", 1) },
		"without hyphens, no lines": func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "-", ""), "\n", " ") },
	} {
		for i := range three {
			for _, form := range []string{"\n", `\n`, " "} {
				bundle := three
				bundle[i] = damage(bundle[i])
				made, problems := certs.New(certs.Settings{CA: strings.ReplaceAll(strings.Join(bundle[:], ""), "\n", form)})
				want := "certificate " + string(rune('1'+i)) + " of 3 that is damaged"
				if made != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, want) {
					t.Errorf("%s: got %v, want %q", name, problems, want)
				}
			}
		}
	}
}

// Certificates that expire soon cause a warning.
func TestWarnings(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := authority(t)
	cert := issue(t, ca, realkafka.CertSpec{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
	c := sound(t, certs.Settings{CA: string(ca.PEM()) + string(ca.PEM()), Cert: string(cert.CertPEM), Key: string(cert.KeyPEM)})
	for at, want := range map[time.Duration]string{
		0:                        "",
		2 * time.Hour:            "KAFKA_TLS_CERT: has expired",
		-2 * time.Hour:           "KAFKA_TLS_CERT: is not valid before",
		2 * 365 * 24 * time.Hour: "KAFKA_TLS_CA: holds a certificate that has expired, number 1 of 2",
	} {
		got := c.Warnings(now.Add(at))
		if want == "" && len(got) == 0 {
			continue
		}
		if len(got) == 0 || !strings.HasPrefix(got[0].Name+": "+got[0].Text, want) || want == "" {
			t.Errorf("in %v: got %q, want %q", at, got, want)
		}
	}
}

// Without settings the system's authorities are used. The minimum is TLS 1.2.
func TestNothingSet(t *testing.T) {
	t.Parallel()
	c := sound(t, certs.Settings{})
	config := c.TLS()
	if len(c.Warnings(time.Now())) != 0 || config.RootCAs != nil || config.GetClientCertificate != nil || config.MinVersion != tls.VersionTLS12 || config.InsecureSkipVerify || config.ClientSessionCache == nil {
		t.Errorf("got %+v", config)
	}
}
