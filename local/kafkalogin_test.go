package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"userrelay/local/portal"
	"userrelay/local/realkafka"
	"userrelay/test/wait"
)

const bearer = "t0ken"

// secured is a broker with a record that requires TLS and a login: PLAIN as u with the password p, or the token.
func secured(t *testing.T) (c *kfake.Cluster, authority string) {
	t.Helper()
	ca, err := realkafka.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(realkafka.CertSpec{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert.CertPEM, cert.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	c, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "user-events"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "p"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	takeTokens(c)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DialTLSConfig(ca.Client()), kgo.SASL(plain.Auth{User: "u", Pass: "p"}.AsMechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(wait.Context(t), &kgo.Record{Topic: "user-events", Key: []byte("auth0|1")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return c, strings.ReplaceAll(string(ca.PEM()), "\n", `\n`) // as a line of a settings file
}

// takeTokens makes a broker without OAUTHBEARER accept one token, by translating it to a login of u.
func takeTokens(c *kfake.Cluster) {
	c.ControlKey(kmsg.SASLHandshake.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if handshake, ok := r.(*kmsg.SASLHandshakeRequest); ok && handshake.Mechanism == "OAUTHBEARER" {
			handshake.Mechanism = "PLAIN"
		}
		return nil, nil, false
	})
	c.ControlKey(kmsg.SASLAuthenticate.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		// RFC 7628: no authorization identity, one pair.
		if login, ok := r.(*kmsg.SASLAuthenticateRequest); ok && bytes.Equal(login.SASLAuthBytes, []byte("n,,\x01auth=Bearer "+bearer+"\x01\x01")) {
			login.SASLAuthBytes = []byte("\x00u\x00p")
		}
		return nil, nil, false
	})
}

// identityService is the identity service of a machine with an identity.
func identityService(t *testing.T, token string) {
	t.Helper()
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if scope := r.URL.Query().Get("resource"); scope != "https://kafka.example" {
			t.Errorf("asked for a token for %s", scope)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_on":"4000000000","token_type":"Bearer"}`, token)
	}))
	t.Cleanup(platform.Close)
	t.Setenv("IDENTITY_ENDPOINT", platform.URL)
	t.Setenv("IDENTITY_HEADER", "x")
}

// TestPageLogsIn shows that the page reads a broker that requires TLS and a login with the handler's settings.
func TestPageLogsIn(t *testing.T) {
	cluster, authority := secured(t)
	identityService(t, bearer)
	for _, tt := range []struct {
		name     string
		settings []string
		reads    bool
	}{
		{"a password", []string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"}, true},
		{"a wrong password", []string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=x"}, false},
		{"a token", []string{"KAFKA_SASL_MECHANISM=OAUTHBEARER", "KAFKA_OAUTH_SCOPE=https://kafka.example/.default"}, true},
		{"no login", []string{"KAFKA_SECURITY_PROTOCOL=SSL"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &stack{options: options{kafka: cluster.ListenAddrs()[0], env: []string{"KAFKA_TLS_CA=" + authority, tt.settings[0]}, extra: tt.settings}, out: io.Discard}
			login, err := s.login()
			if err != nil {
				t.Fatal(err)
			}
			p, err := portal.Start(t.Context(), portal.Config{Brokers: []string{s.kafka}, Topic: "user-events", Client: login})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var topic struct {
				Readable bool
				Reason   string
				Records  []portal.Record
			}
			wait.For(t, "the page knows what is in the topic, or why not", func() bool {
				w := httptest.NewRecorder()
				p.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/records", nil))
				if err := json.Unmarshal(w.Body.Bytes(), &topic, json.MatchCaseInsensitiveNames(true)); err != nil {
					t.Fatal(err)
				}
				return len(topic.Records) == 1 || strings.Contains(topic.Reason, "reached")
			})
			if topic.Readable != tt.reads {
				t.Errorf("got %+v", topic)
			}
		})
	}
}

// TestPageCannotLogIn names the setting, and no value.
func TestPageCannotLogIn(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"KAFKA_TLS_CA=/no/such/file", "KAFKA_TLS_CA=" + os.Args[0], "KAFKA_TLS_CERT=/no/such/file"} {
		s := &stack{options: options{kafka: "127.0.0.1:1", extra: []string{"KAFKA_SECURITY_PROTOCOL=SSL", settings}}, out: io.Discard}
		_, value, _ := strings.Cut(settings, "=")
		if _, err := s.login(); err == nil || !strings.HasPrefix(err.Error(), "KAFKA_TLS_") || strings.Contains(err.Error(), value) {
			t.Errorf("%s: got %v", settings, err)
		}
	}
}
