package certs_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/recorder"
)

// told is a log.
type told struct{ recorder.Recorder }

func (l *told) count(what string) int { return strings.Count(l.String(), what) }

// presented is the certificate that a connection presents, in PEM. It belongs to its key.
func presented(t *testing.T, config *tls.Config) string {
	t.Helper()
	cert := must.Get[*tls.Certificate](t)(config.GetClientCertificate(nil))
	if key, ok := cert.PrivateKey.(*ecdsa.PrivateKey); !ok || !key.PublicKey.Equal(cert.Leaf.PublicKey) {
		t.Error("the key is another certificate's")
	}
	return toPEM("CERTIFICATE", cert.Certificate[0])
}

// The next connection uses a renewed client certificate together with its key, and never one without the other. Files
// that cannot be used change nothing. That is logged once, and again if it happens again.
func TestNewFiles(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	old, fresh := issue(t, ca, realkafka.CertSpec{}), issue(t, ca, realkafka.CertSpec{})
	expired := issue(t, ca, realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	cert, key, roots := file(t, "cert.pem", old.CertPEM), file(t, "key.pem", old.KeyPEM), file(t, "ca.pem", ca.PEM())
	keeper := sound(t, certs.Settings{CA: roots, Cert: cert, Key: key})
	var out told
	keeper.Log(slog.New(slog.NewTextHandler(&out, nil)))
	current, changes, warnings, resumable := old, 0, 0, 0
	config := keeper.TLS()
	check := func(what string) {
		t.Helper()
		for range 3 {
			got := keeper.TLS()
			if presented(t, got) != string(current.CertPEM) || out.count("level=INFO") != changes || out.count("level=WARN") != warnings {
				t.Errorf("%s: want %d changes, %d warnings:\n%s", what, changes, warnings, out.String())
			}
			// A resumed session does not check new certificates, and costs less than a new one.
			if (got.ClientSessionCache == config.ClientSessionCache) != (changes == resumable) {
				t.Errorf("%s: the sessions that can be resumed are others, or the same", what)
			}
		}
	}
	remove := func(path string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	bad := func(path string, text []byte) {
		t.Helper()
		write(t, path, text)
		warnings++
		check(string(text))
	}
	check("nothing has changed")
	bad(roots, []byte("v4lue"))
	bad(roots, ca.PEM()[:100])
	write(t, roots, ca.PEM())
	check("as before")
	bad(roots, ca.PEM()[:100])
	remove(roots)
	warnings++
	check("removed")
	if err := os.Mkdir(roots, 0o700); err != nil {
		t.Fatal(err)
	}
	warnings++
	check("a folder")
	remove(roots)
	write(t, roots, append([]byte("\n"), ca.PEM()...)) // white space is no change
	check("mended")

	bad(cert, fresh.CertPEM)
	if out.count("KAFKA_TLS_KEY") != 1 {
		t.Errorf("that the key is another one is not told:\n%s", out.String())
	}
	write(t, key, fresh.KeyPEM)
	current, changes = fresh, 1
	check("both are new")
	config, resumable = keeper.TLS(), changes
	check("nothing more has changed")
	write(t, key, expired.KeyPEM)
	write(t, cert, expired.CertPEM)
	current, changes, warnings = expired, 2, warnings+1
	check("expired")
	write(t, roots, authority(t).PEM())
	changes, warnings = 3, warnings+1
	check("another authority")
	if got := keeper.TLS().RootCAs; got.Equal(config.RootCAs) {
		t.Error("the previous authority is trusted")
	}
	if out.count("has expired") != 2 || out.count("v4lue")+out.count(roots) != 0 {
		t.Errorf("less or more is told than should be:\n%s", out.String())
	}
}

// Many connections at once, while files change.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	pairs := []realkafka.Cert{issue(t, ca, realkafka.CertSpec{}), issue(t, ca, realkafka.CertSpec{})}
	cert, key := file(t, "cert", pairs[0].CertPEM), file(t, "key", pairs[0].KeyPEM)
	keeper := sound(t, certs.Settings{CA: string(ca.PEM()), Cert: cert, Key: key})
	var connecting sync.WaitGroup
	for range 4 {
		connecting.Go(func() {
			for range 50 {
				presented(t, keeper.TLS())
			}
		})
	}
	for i := range 40 {
		write(t, cert, pairs[i%2].CertPEM)
		write(t, key, pairs[i%2].KeyPEM)
	}
	connecting.Wait()
}
