package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
)

// versions are the TLS versions in use. They resume sessions in different ways.
func versions() map[string]uint16 {
	return map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}
}

// A server is trusted only if its certificate is signed by an authority, valid now, and issued for the dialled name or
// address. The same holds for authorities from a file, before and after the file changes.
func TestVerification(t *testing.T) {
	t.Parallel()
	ca, other := authority(t), authority(t)
	past := realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	for name, c := range map[string]struct {
		cert   realkafka.Cert
		dialed string
		want   string // "" sound
	}{
		"sound":                      {issue(t, ca, realkafka.CertSpec{}), "localhost", ""},
		"sound, by address":          {issue(t, ca, realkafka.CertSpec{}), "127.0.0.1", ""},
		"another host":               {issue(t, ca, realkafka.CertSpec{Hosts: []string{"elsewhere.example"}}), "localhost", "host"},
		"another address":            {issue(t, ca, realkafka.CertSpec{Hosts: []string{"localhost", "127.0.0.2"}}), "127.0.0.1", "host"},
		"a name for an address":      {issue(t, ca, realkafka.CertSpec{Hosts: []string{"localhost"}}), "127.0.0.1", "host"},
		"another authority":          {issue(t, other, realkafka.CertSpec{}), "localhost", "authority"},
		"another authority, address": {issue(t, other, realkafka.CertSpec{}), "127.0.0.1", "authority"},
		"expired":                    {issue(t, ca, past), "localhost", "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, c.cert, nil, 0)
			path := file(t, "ca.pem", []byte(""+string(other.PEM())+string(ca.PEM())))
			// The file is read again before the first connection, so that the test uses a changed configuration.
			keeper := sound(t, certs.Settings{CA: path})
			write(t, path, ca.PEM())
			for range 2 {
				_, err := connect(t, keeper.TLS(), srv.addr, c.dialed)
				if got := refusal(err); got != c.want {
					t.Errorf("got %q (%v), want %q", got, err, c.want)
				}
			}
		})
	}
}

// refusal returns why a certificate was not trusted.
func refusal(err error) string {
	_, host := errors.AsType[x509.HostnameError](err)
	_, signer := errors.AsType[x509.UnknownAuthorityError](err)
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case err == nil:
		return ""
	case host:
		return "host"
	case signer:
		return "authority"
	case invalid.Reason == x509.Expired:
		return "expired"
	default:
		return "something else"
	}
}

// A second connection resumes the session of the first, which costs less.
func TestResumption(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	cert := issue(t, ca, realkafka.CertSpec{})
	for name, version := range versions() {
		for kind, s := range map[string]certs.Settings{
			"text":  {CA: string(ca.PEM()), Cert: string(cert.CertPEM), Key: string(cert.KeyPEM)},
			"files": {CA: file(t, "ca", ca.PEM()), Cert: file(t, "cert", cert.CertPEM), Key: file(t, "key", cert.KeyPEM)},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				srv := serve(t, issue(t, ca, realkafka.CertSpec{}), ca, version)
				keeper := sound(t, s)
				for i := range 3 {
					for _, host := range []string{"localhost", "127.0.0.1"} {
						state, err := connect(t, keeper.TLS(), srv.addr, host)
						if err != nil || state.DidResume != (i > 0) {
							t.Errorf("connection %d to %s: resumed %t, error %v", i, host, state.DidResume, err)
						}
					}
				}
			})
		}
	}
}

// An earlier session is not resumed after the authorities have changed: the server must present a certificate from a
// new one.
func TestNewAuthority(t *testing.T) {
	t.Parallel()
	for name, version := range versions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := authority(t), authority(t)
			srv := serve(t, issue(t, before, realkafka.CertSpec{}), nil, version)
			path := file(t, "ca.pem", before.PEM())
			keeper := sound(t, certs.Settings{CA: path})
			try := func(want string, resumed bool) {
				t.Helper()
				state, err := connect(t, keeper.TLS(), srv.addr, "localhost")
				if refusal(err) != want || state.DidResume != resumed {
					t.Errorf("got %q (%v), resumed %t; want %q, %t", refusal(err), err, state.DidResume, want, resumed)
				}
			}
			try("", false)
			try("", true)
			write(t, path, after.PEM())
			try("authority", false)
			try("authority", false)
			srv.use(t, issue(t, after, realkafka.CertSpec{}))
			try("", false)
			try("", true)
			write(t, path, []byte(string(before.PEM())+string(after.PEM())))
			try("", false)
			srv.use(t, issue(t, before, realkafka.CertSpec{}))
			try("", true) // it is the same server, and both authorities are trusted
		})
	}
}

// The next connection uses a renewed client certificate together with its key, and never one without the other.
func TestNewClientCertificate(t *testing.T) {
	t.Parallel()
	for name, version := range versions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := authority(t)
			srv := serve(t, issue(t, ca, realkafka.CertSpec{}), ca, version)
			old := issue(t, authority(t), realkafka.CertSpec{}) // the server does not trust it
			fresh := issue(t, ca, realkafka.CertSpec{})
			cert, key := file(t, "cert.pem", old.CertPEM), file(t, "key.pem", old.KeyPEM)
			keeper := sound(t, certs.Settings{CA: string(ca.PEM()), Cert: cert, Key: key})
			var log told
			keeper.Log(log.logger())
			refused := func() {
				t.Helper()
				if _, err := connect(t, keeper.TLS(), srv.addr, "localhost"); err == nil || refusal(err) != "something else" {
					t.Errorf("got %v, want the server's refusal", err)
				}
			}
			refused()
			write(t, cert, fresh.CertPEM)
			refused()
			refused()
			if n := log.count("KAFKA_TLS_KEY"); n != 1 || log.count("level=WARN") != 1 {
				t.Errorf("that the key is another one is told %d times, want once:\n%s", n, log.String())
			}
			write(t, key, fresh.KeyPEM)
			if state, err := connect(t, keeper.TLS(), srv.addr, "localhost"); err != nil || state.DidResume {
				t.Errorf("resumed %t, error %v", state.DidResume, err)
			}
			if log.count("level=INFO") != 1 || log.count("level=WARN") != 1 {
				t.Errorf("got:\n%s", log.String())
			}
		})
	}
}

// Files that cannot be used change nothing. That is logged once, and again if it happens again.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	srv := serve(t, issue(t, ca, realkafka.CertSpec{}), nil, 0)
	path := file(t, "ca.pem", ca.PEM())
	keeper := sound(t, certs.Settings{CA: path})
	var log told
	keeper.Log(log.logger())
	works := func(warnings int) {
		t.Helper()
		for range 3 {
			if _, err := connect(t, keeper.TLS(), srv.addr, "localhost"); err != nil {
				t.Error(err)
			}
		}
		if n := log.count("level=WARN"); n != warnings {
			t.Errorf("%d warnings, want %d:\n%s", n, warnings, log.String())
		}
	}
	works(0)
	write(t, path, []byte("v4lue"))
	works(1)
	write(t, path, ca.PEM()[:100])
	works(2)
	write(t, path, ca.PEM())
	works(2)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	works(3)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	works(4)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, append([]byte("\n"), ca.PEM()...))
	works(4)
	if log.count("level=INFO") != 0 { // white space is no change
		t.Errorf("got:\n%s", log.String())
	}
	if strings.Contains(log.String(), "v4lue") || strings.Contains(log.String(), path) {
		t.Errorf("more is told than should be:\n%s", log.String())
	}
}

// Many connections at once, while files change.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	cert, next := issue(t, ca, realkafka.CertSpec{}), issue(t, ca, realkafka.CertSpec{})
	srv := serve(t, cert, ca, 0)
	certFile, keyFile := file(t, "cert", cert.CertPEM), file(t, "key", cert.KeyPEM)
	keeper := sound(t, certs.Settings{CA: file(t, "ca", ca.PEM()), Cert: certFile, Key: keyFile})
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 20 {
				if _, err := connect(t, keeper.TLS(), srv.addr, "localhost"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for i := range 40 {
		c := []realkafka.Cert{cert, next}[i%2]
		write(t, certFile, c.CertPEM)
		write(t, keyFile, c.KeyPEM)
	}
	for range 4 {
		<-done
	}
}
