package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
	"userrelay/test/recorder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a new certificate authority.
func authority(tb testing.TB) *realkafka.CA {
	tb.Helper()
	ca, err := realkafka.NewCA("authority")
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// issue makes a certificate.
func issue(tb testing.TB, ca *realkafka.CA, spec realkafka.CertSpec) realkafka.Cert {
	tb.Helper()
	c, err := ca.Issue(spec)
	if err != nil {
		tb.Fatal(err)
	}
	return c
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

// told is a log.
type told struct{ recorder.Recorder }

func (l *told) count(what string) int { return strings.Count(l.String(), what) }

func (l *told) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// server answers TLS connections with a byte. Its certificate can be changed.
type server struct {
	addr string

	mu     sync.Mutex
	config *tls.Config
}

// serve starts a server. If clients is set it requires client certificates from that authority.
func serve(t *testing.T, cert realkafka.Cert, clients *realkafka.CA, maxVersion uint16) *server {
	t.Helper()
	s := &server{}
	config := &tls.Config{MaxVersion: maxVersion, MinVersion: tls.VersionTLS12}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(clients.PEM())
	}
	s.config = config
	s.use(t, cert)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.config, nil
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				secure := tls.Server(conn, config)
				if secure.HandshakeContext(context.WithoutCancel(t.Context())) == nil {
					_, _ = secure.Write([]byte("!"))
					_, _ = io.Copy(io.Discard, secure) // until the client goes
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return s
}

// use changes the server's certificate. Clients can still resume earlier sessions.
func (s *server) use(t *testing.T, cert realkafka.Cert) {
	t.Helper()
	pair, err := tls.X509KeyPair(cert.CertPEM, cert.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.config.Clone()
	next.SetSessionTicketKeys([][32]byte{{1}})
	next.Certificates = []tls.Certificate{pair}
	s.config = next
}

// connect makes a connection as the producer does, and returns the result.
func connect(t *testing.T, config *tls.Config, address, name string) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	config = config.Clone()
	config.ServerName = name
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(t.Context()); err != nil {
		return tls.ConnectionState{}, err
	}
	// With TLS 1.3 the server checks the client's certificate after the handshake, and only then sends session
	// tickets.
	_, err = io.ReadFull(client, make([]byte, 1))
	return client.ConnectionState(), err
}
