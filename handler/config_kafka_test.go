package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"userrelay/handler/app"
	"userrelay/local/realkafka"
	"userrelay/test/must"
)

// Passwords are used unchanged, with a warning if they look suspicious. Names and passwords that cannot be sent are
// refused before a connection is made.
func TestLogin(t *testing.T) {
	t.Parallel()
	looks, wrongName := []string{"KAFKA_SASL_PASSWORD: …"}, []string{"KAFKA_SASL_USERNAME: must be ASCII…"}
	for _, c := range []struct {
		mechanism, user, password string
		wrong, warnings           []string
	}{
		{"SCRAM-SHA-256", "a,b=c", "secret", nil, nil},
		{"SCRAM-SHA-512", "u", "½\u00a0é", nil, nil},
		{"SCRAM-SHA-512", "u", " v4lue", nil, looks},
		{"SCRAM-SHA-512", "u", "v4lue\n", nil, looks},
		{"SCRAM-SHA-512", "u", `"v4lue"`, nil, looks},
		{"SCRAM-SHA-512", "u", `v4lue"`, nil, nil},
		{"SCRAM-SHA-512", "u", "v4lue\xff", looks, nil},
		{"SCRAM-SHA-512", "zo\u00eb", "p", wrongName, nil},
		{"PLAIN", "zo\u00eb", "p", nil, nil},
		{"PLAIN", "v4lue\xff", "p", wrongName, nil},
	} {
		env := []string{"KAFKA_SASL_MECHANISM=" + c.mechanism, "KAFKA_SASL_USERNAME=" + c.user, "KAFKA_SASL_PASSWORD=" + c.password}
		if s := wantLoad(t, env, c.wrong, c.warnings); c.wrong == nil && (s.Kafka.Password != c.password || s.Kafka.Username != c.user) {
			t.Errorf("got %q %q, want %q %q", s.Kafka.Username, s.Kafka.Password, c.user, c.password)
		}
	}
}

// Certificates are read from the settings in any form, including quotes, and only if TLS is used.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ca := must.Get[*realkafka.CA](t)(realkafka.NewCA("authority"))
	cert := must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}))
	flat := func(pem []byte) string { return `"` + strings.ReplaceAll(string(pem), "\n", `\n`) + `"` }
	all := []string{"KAFKA_TLS_CA=" + flat(ca.PEM()), "KAFKA_TLS_CERT=" + flat(cert.CertPEM), "KAFKA_TLS_KEY=" + flat(cert.KeyPEM)}
	for name, c := range map[string]struct {
		env             []string
		tls             bool
		wrong, warnings []string
	}{
		"SSL":               {all, true, nil, []string{"KAFKA_TLS_CERT: …"}},
		"nothing set":       {nil, true, nil, nil},
		"none for loopback": {[]string{"KAFKA_BROKERS=127.0.0.1:9"}, false, nil, nil},
		"PLAINTEXT":         {append(all, "KAFKA_BROKERS=127.0.0.1:9"), false, []string{"KAFKA_TLS_CA: …", "KAFKA_TLS_CERT: …", "KAFKA_TLS_KEY: …"}, nil},
		"damaged":           {append(all, "KAFKA_TLS_CA=-----BEGIN"), false, []string{"KAFKA_TLS_CA: …"}, nil},
		"a reference":       {append(all, "KAFKA_TLS_KEY=@Microsoft.KeyVault(v4lue)"), false, []string{"KAFKA_TLS_KEY: …"}, nil},
	} {
		s := wantLoad(t, c.env, c.wrong, c.warnings)
		if (s.Kafka.Certificates != nil) != c.tls {
			t.Errorf("%s: TLS: got %t, want %t", name, !c.tls, c.tls)
		}
	}
}

// The producer gets the current certificates, and the console reports that they have changed.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write := func() {
		if err := os.WriteFile(path, must.Get[*realkafka.CA](t)(realkafka.NewCA("authority")).PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	var told bytes.Buffer
	s := wantLoad(t, []string{"KAFKA_TLS_CA=" + path}, nil, nil)
	kafka := must.Get[app.Config](t)(appConfig(s, slog.New(slog.NewTextHandler(&told, nil)))).Kafka
	before, first := kafka.CurrentTLS(), told.Len()
	write()
	after := kafka.CurrentTLS()
	if before != kafka.TLS || first > 0 || after.RootCAs.Equal(before.RootCAs) || !strings.Contains(told.String(), "level=INFO") {
		t.Errorf("not the authorities of the file, or told %q", told.String())
	}
}
