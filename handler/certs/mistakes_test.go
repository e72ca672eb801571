package certs_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
	"userrelay/test/must"
)

const secret = "v4lue" // is in what is wrong, and nobody may tell it

// If a setting cannot be used, a sentence names it and says what to do, without repeating its value.
func TestSentences(t *testing.T) {
	t.Parallel()
	authority := authority(t)
	cert, other := issue(t, authority, realkafka.CertSpec{}), issue(t, authority, realkafka.CertSpec{})
	certPEM, keyPEM := string(cert.CertPEM), string(cert.KeyPEM)
	relabel := func(from, to string) string { return strings.ReplaceAll(keyPEM, from, to) }
	block, _ := pem.Decode(cert.CertPEM)
	legacy := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	x25519 := toPEM("PRIVATE KEY", must.Get[[]byte](t)(x509.MarshalPKCS8PrivateKey(must.Get[*ecdh.PrivateKey](t)(ecdh.X25519().GenerateKey(rand.Reader)))))
	folder := t.TempDir()
	type mistake struct {
		s    certs.Settings
		want []string // what the problems begin with
	}
	ca := func(text, want string) mistake {
		return mistake{certs.Settings{CA: text}, []string{"KAFKA_TLS_CA: " + want}}
	}
	key := func(text, want string) mistake {
		return mistake{certs.Settings{Cert: certPEM, Key: text}, []string{"KAFKA_TLS_KEY: " + want}}
	}
	for name, c := range map[string]mistake{
		"no file":               ca("/nowhere/"+secret, "is not PEM text, which begins with -----BEGIN, and no file of that name exists"),
		"a password":            ca(secret, "is not PEM text"),
		"something long":        ca(strings.Repeat(secret, 1000), "is neither PEM text, which begins with -----BEGIN, nor the path"),
		"a folder":              ca(folder, "is the path of a folder"),
		"a device":              ca(os.DevNull, "is not the path of an ordinary file"),
		"an empty file":         ca(file(t, "empty.pem", []byte("\n")), "is the path of an empty file"),
		"a large file":          ca(file(t, "large.pem", make([]byte, 1<<20+1)), "is the path of a file of more than 1 MiB"),
		"a file of something":   ca(file(t, "some.pem", []byte(secret)), "holds no certificate in PEM"),
		"DER":                   ca(file(t, "ca.der", block.Bytes), "is binary, not PEM text: convert it"),
		"a Java keystore":       ca(file(t, "ca.jks", []byte("\xFE\xED\xFE\xED\x00\x02"+secret)), "is binary, not PEM text: convert it"),
		"a key as CA":           ca(keyPEM, "holds a private key where a certificate belongs"),
		"PKCS#7":                ca(strings.ReplaceAll(certPEM, "CERTIFICATE", "PKCS7"), "holds PKCS#7"),
		"a request":             ca(strings.ReplaceAll(certPEM, "CERTIFICATE", "CERTIFICATE REQUEST"), "holds a certificate signing request"),
		"OpenSSL's own form":    ca(strings.ReplaceAll(certPEM, "CERTIFICATE", "TRUSTED CERTIFICATE"), "holds a certificate in OpenSSL's own format"),
		"only the first line":   ca("-----BEGIN CERTIFICATE-----", "holds a certificate that is damaged"),
		"from a word processor": ca(strings.ReplaceAll(certPEM, "-----", "\u2013\u2013"), "holds a certificate that is damaged"),
		"a key without":         {certs.Settings{Key: keyPEM}, []string{"KAFKA_TLS_CERT: is missing"}},
		"a certificate without": {certs.Settings{Cert: certPEM}, []string{"KAFKA_TLS_KEY: is missing"}},
		"swapped": {certs.Settings{Cert: keyPEM, Key: certPEM}, []string{
			"KAFKA_TLS_CERT: holds a private key where a certificate belongs: is it swapped with KAFKA_TLS_KEY?",
			"KAFKA_TLS_KEY: holds a certificate where its private key belongs: is it swapped with KAFKA_TLS_CERT?",
		}},
		"another key":                  key(string(other.KeyPEM), "is not the key of the certificate in KAFKA_TLS_CERT"),
		"encrypted":                    key(relabel("PRIVATE", "ENCRYPTED PRIVATE"), "is encrypted"),
		"encrypted, the old way":       key(legacy, "is encrypted"),
		"encrypted, without line ends": key(strings.ReplaceAll(legacy, "\n", " "), "is encrypted"),
		"OpenSSH":                      key(relabel("PRIVATE", "OPENSSH PRIVATE"), "is in OpenSSH's own format"),
		"a public key":                 key(relabel("PRIVATE", "PUBLIC"), "holds a public key"),
		"a damaged key":                key(strings.Replace(keyPEM, "MI", "", 1), "is damaged"),
		"a key cut off":                key(keyPEM[:len(keyPEM)-30], "is damaged"),
		"a key, no hyphens":            key(strings.ReplaceAll(keyPEM, "-", ""), "is damaged"),
		"a key of another use":         key(x25519, "is a key of a kind that TLS does not use"),
		"no key":                       key(file(t, "key.pem", []byte("key: "+secret)), "holds no private key in PEM"),
		"all at once":                  {certs.Settings{CA: secret, Cert: filepath.Join(folder, secret), Key: legacy}, []string{"KAFKA_TLS_CA: ", "KAFKA_TLS_CERT: ", "KAFKA_TLS_KEY: "}},
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
