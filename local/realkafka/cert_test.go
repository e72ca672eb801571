package realkafka_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/must"
)

// TestWrongCertificates checks a client's reaction to a server's wrong certificate.
func TestWrongCertificates(t *testing.T) {
	ca, other := must.Get[*realkafka.CA](t)(realkafka.NewCA("one")), must.Get[*realkafka.CA](t)(realkafka.NewCA("other"))
	tests := []struct {
		name string
		by   *realkafka.CA
		spec realkafka.CertSpec
		want func(error) bool
	}{
		{"good", ca, realkafka.CertSpec{}, func(err error) bool { return err == nil }},
		{"another CA", other, realkafka.CertSpec{}, isUnknownAuthority},
		{"another host", ca, realkafka.CertSpec{Hosts: []string{"elsewhere.test", "127.0.0.2"}}, func(err error) bool {
			return errors.As(err, &x509.HostnameError{})
		}},
		{"expired", ca, realkafka.CertSpec{NotAfter: time.Now().Add(-time.Minute)}, func(err error) bool {
			invalid := x509.CertificateInvalidError{}
			return errors.As(err, &invalid) && invalid.Reason == x509.Expired
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert := must.Get[realkafka.Cert](t)(tt.by.Issue(tt.spec))
			pair := must.Get[tls.Certificate](t)(tls.X509KeyPair(cert.CertPEM, cert.KeyPEM))
			cfg := ca.Client()
			cfg.ServerName = "localhost"
			l := must.Get[net.Listener](t)((&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0"))
			var wg sync.WaitGroup
			wg.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					return // only the client's error matters
				}
				srv := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
				_ = srv.HandshakeContext(t.Context())
				_ = conn.Close()
			})
			conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp4", l.Addr().String())
			if err == nil {
				_ = conn.Close()
			}
			_ = l.Close()
			wg.Wait()
			if !tt.want(err) {
				t.Errorf("got error %v", err)
			}
		})
	}
}
