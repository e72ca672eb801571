package main

import (
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/realkafka"
	"userrelay/test/wait"
)

// TestPageLogsIn shows that the page enters a broker with the handler's settings.
func TestPageLogsIn(t *testing.T) {
	t.Parallel()
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
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "p"), kfake.Superuser("SCRAM-SHA-512", "s", "q"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, settings string
		enters         bool
	}{
		{"plain", "KAFKA_SASL_MECHANISM=PLAIN KAFKA_SASL_USERNAME=u KAFKA_SASL_PASSWORD=p KAFKA_TLS_CA=" + file, true},
		{"scram", "KAFKA_SASL_MECHANISM=SCRAM-SHA-512 KAFKA_SASL_USERNAME=s KAFKA_SASL_PASSWORD=q KAFKA_SECURITY_PROTOCOL=SASL_SSL KAFKA_TLS_CA=" + file, true},
		{"a wrong password", "KAFKA_SASL_MECHANISM=PLAIN KAFKA_SASL_USERNAME=u KAFKA_SASL_PASSWORD=x KAFKA_TLS_CA=" + file, false},
		{"no authority", "KAFKA_SASL_MECHANISM=PLAIN KAFKA_SASL_USERNAME=u KAFKA_SASL_PASSWORD=p", false},
		{"no TLS", "KAFKA_SASL_MECHANISM=PLAIN KAFKA_SASL_USERNAME=u KAFKA_SASL_PASSWORD=p KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &stack{options: options{kafka: cluster.ListenAddrs()[0], extra: strings.Fields(tt.settings)}, out: io.Discard}
			opts, err := s.login()
			if err != nil {
				t.Fatal(err)
			}
			client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.kafka), kgo.RequestRetries(0))...)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.Ping(wait.Context(t)); (err == nil) != tt.enters {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, settings := range []string{"KAFKA_TLS_CA=/no/such/file", "KAFKA_TLS_CA=" + os.Args[0], "KAFKA_TLS_CERT=" + file} {
		s := &stack{options: options{kafka: "127.0.0.1:1", extra: strings.Fields("KAFKA_SECURITY_PROTOCOL=SSL " + settings)}, out: io.Discard}
		if _, err := s.login(); err == nil || !strings.HasPrefix(err.Error(), "KAFKA_TLS_") || strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", settings, err)
		}
	}
}
