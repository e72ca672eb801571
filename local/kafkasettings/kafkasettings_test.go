package kafkasettings_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/identity"
	"userrelay/local/kafkasettings"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/wait"
)

type settings map[string]string

func (s settings) value(name string) string { return s[name] }

func noLogin(string) (*identity.Tokens, error) { return nil, errors.New("none here") }

// broker is a broker that requires a certificate and, with users, a login.
func broker(t *testing.T, ca *realkafka.CA, users ...kfake.Opt) string {
	t.Helper()
	cert := must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{}))
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca.PEM())
	config := &tls.Config{
		Certificates: []tls.Certificate{must.Get[tls.Certificate](t)(tls.X509KeyPair(cert.CertPEM, cert.KeyPEM))},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: trusted, MinVersion: tls.VersionTLS12,
	}
	c := must.Get[*kfake.Cluster](t)(kfake.NewCluster(append(users, kfake.NumBrokers(1), kfake.TLS(config))...))
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

func enters(t *testing.T, s settings) error {
	t.Helper()
	read, err := kafkasettings.Read(s.value, noLogin)
	if err != nil {
		t.Fatal(err)
	}
	client := must.Get[*kgo.Client](t)(kgo.NewClient(append(read.Login, kgo.SeedBrokers(read.Brokers...), kgo.RequestRetries(0))...))
	defer client.Close()
	return client.Ping(wait.Context(t))
}

// TestLogin connects to brokers with the handler's settings.
func TestLogin(t *testing.T) {
	t.Parallel()
	ca := must.Get[*realkafka.CA](t)(realkafka.NewCA("test"))
	addr := broker(t, ca, kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", " p "), kfake.Superuser("SCRAM-SHA-256", "v", "q"), kfake.Superuser("SCRAM-SHA-512", "w", "r"))
	client := must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{}))
	for name, tt := range map[string]struct {
		mechanism, user, password, protocol string
		enters                              bool
	}{
		"PLAIN":            {"PLAIN", "u", " p ", "", true},
		"SCRAM-SHA-256":    {"scram-sha-256", "v", "q", "", true},
		"SCRAM-SHA-512":    {" SCRAM-SHA-512", "w", "r", "sasl_ssl", true},
		"a wrong password": {"PLAIN", "u", "p", "", false},
		"no TLS":           {"PLAIN", "u", " p ", "SASL_PLAINTEXT", false},
		"no login":         {"", "", "", "SSL", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := enters(t, settings{
				"KAFKA_BROKERS": " " + addr, "KAFKA_SECURITY_PROTOCOL": tt.protocol, "KAFKA_SASL_MECHANISM": tt.mechanism,
				"KAFKA_SASL_USERNAME": tt.user, "KAFKA_SASL_PASSWORD": tt.password,
				"KAFKA_TLS_CA": string(ca.PEM()), "KAFKA_TLS_CERT": string(client.CertPEM), "KAFKA_TLS_KEY": string(client.KeyPEM),
			})
			if (err == nil) != tt.enters {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestCertificates reads certificates in some forms that the handler accepts; the tests of certs have all of them.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ca, stranger := must.Get[*realkafka.CA](t)(realkafka.NewCA("test")), must.Get[*realkafka.CA](t)(realkafka.NewCA("another"))
	addr := broker(t, ca)
	client := must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{}))
	foreign := must.Get[realkafka.Cert](t)(stranger.Issue(realkafka.CertSpec{}))
	text := func(pem []byte) string { return string(pem) }
	for name, tt := range map[string]struct {
		ca     *realkafka.CA
		client realkafka.Cert
		form   func(pem []byte) string
		enters bool
	}{
		"text":                {ca, client, text, true},
		"one line":            {ca, client, func(pem []byte) string { return strings.ReplaceAll(string(pem), "\n", `\n`) }, true},
		"line ends as spaces": {ca, client, func(pem []byte) string { return strings.ReplaceAll(string(pem), "\n", " ") }, true},
		"files":               {ca, client, func(pem []byte) string { return file(t, pem) }, true},
		"another authority":   {stranger, client, text, false},
		"of another":          {ca, foreign, text, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := enters(t, settings{
				"KAFKA_BROKERS": addr, "KAFKA_SECURITY_PROTOCOL": "SSL",
				"KAFKA_TLS_CA": tt.form(tt.ca.PEM()), "KAFKA_TLS_CERT": tt.form(tt.client.CertPEM), "KAFKA_TLS_KEY": tt.form(tt.client.KeyPEM),
			})
			if (err == nil) != tt.enters {
				t.Errorf("got %v", err)
			}
		})
	}
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestScope requests tokens for the first broker if no scope is set.
func TestScope(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"", "api://kafka/.default"} {
		asked := ""
		s := settings{"KAFKA_BROKERS": "a.example:9093,b.example:9093", "KAFKA_SASL_MECHANISM": "OAUTHBEARER", "KAFKA_OAUTH_SCOPE": set}
		read, err := kafkasettings.Read(s.value, func(scope string) (*identity.Tokens, error) {
			asked = scope
			return identity.NewTokens(func(context.Context) (string, time.Time, error) { return "", time.Time{}, nil }), nil
		})
		if want := cmp.Or(set, "https://a.example/.default"); err != nil || asked != want || len(read.Brokers) != 2 || read.Topic != "user-events" {
			t.Errorf("got %+v, %v; asked for %s, want %s", read, err, asked, want)
		}
	}
}

// TestRefuses checks that the error lists all mistakes, without values.
func TestRefuses(t *testing.T) {
	t.Parallel()
	const secret, certificates = "s3cret", "KAFKA_TLS_CERT and KAFKA_TLS_KEY: must be a certificate and its key in PEM"
	key, broker := "-----BEGIN PRIVATE KEY-----"+secret, settings{"KAFKA_BROKERS": "kafka.example:9093"}
	for name, tt := range map[string]struct {
		settings settings
		want     []string
	}{
		"no broker":        {settings{}, []string{"KAFKA_BROKERS: must be host:port"}},
		"no port":          {settings{"KAFKA_BROKERS": "a:1," + secret}, []string{"KAFKA_BROKERS: must be host:port"}},
		"protocol":         {settings{"KAFKA_SECURITY_PROTOCOL": secret}, []string{"KAFKA_SECURITY_PROTOCOL: must be"}},
		"login, not meant": {settings{"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SECURITY_PROTOCOL": "SSL"}, []string{"KAFKA_SECURITY_PROTOCOL: must be", "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: must be set for PLAIN"}},
		"mechanism":        {settings{"KAFKA_SASL_MECHANISM": secret}, []string{"KAFKA_SASL_MECHANISM: must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"}},
		"no identity":      {settings{"KAFKA_SASL_MECHANISM": "OAUTHBEARER"}, []string{"KAFKA_SASL_MECHANISM: OAUTHBEARER needs an Azure identity"}},
		"no certificate":   {settings{"KAFKA_TLS_CA": secret}, []string{"KAFKA_TLS_CA: must be certificates in PEM", "KAFKA_TLS_CA is not PEM text"}},
		"half a pair":      {settings{"KAFKA_TLS_KEY": key}, []string{certificates, "KAFKA_TLS_CERT is missing", "KAFKA_TLS_KEY is damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := maps.Clone(broker)
			maps.Copy(s, tt.settings)
			if len(tt.settings) == 0 {
				s = tt.settings
			}
			_, err := kafkasettings.Read(s.value, func(string) (*identity.Tokens, error) { return nil, errors.New(secret) })
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
}
