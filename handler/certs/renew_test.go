package certs_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"userrelay/handler/certs"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/recorder"
)

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
		got := ""
		if warnings := c.Warnings(now.Add(at)); len(warnings) > 0 {
			got = warnings[0].Name + ": " + warnings[0].Text
		}
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("in %v: got %q, want %q", at, got, want)
		}
	}
}

// Without settings the system's authorities are used. The minimum is TLS 1.2.
func TestNothingSet(t *testing.T) {
	t.Parallel()
	c := sound(t, certs.Settings{})
	config := c.TLS()
	if len(c.Warnings(time.Now())) != 0 || config.RootCAs != nil || config.GetClientCertificate != nil ||
		config.MinVersion != tls.VersionTLS12 || config.InsecureSkipVerify || config.ClientSessionCache == nil {
		t.Errorf("got %+v", config)
	}
}

// presented is the certificate that a connection presents, in PEM. It belongs to its key.
func presented(t *testing.T, config *tls.Config) string {
	t.Helper()
	cert := must.Get[*tls.Certificate](t)(config.GetClientCertificate(nil))
	first := must.Get[*x509.Certificate](t)(x509.ParseCertificate(cert.Certificate[0]))
	if key, ok := cert.PrivateKey.(crypto.Signer); !ok || !reflect.DeepEqual(key.Public(), first.PublicKey) {
		t.Error("the key is another certificate's")
	}
	return toPEM("CERTIFICATE", first.Raw)
}

// The next connection uses a renewed client certificate together with its key, and never one without the other. Files
// that cannot be used change nothing. That is logged once, and again if it happens again. A session that is resumed does
// not check new certificates, so none is resumed after a change; without one it costs less than a new session.
func TestNewFiles(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	old, fresh := issue(t, ca, realkafka.CertSpec{}), issue(t, ca, realkafka.CertSpec{})
	expired := issue(t, ca, realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	cert, key, roots := file(t, "cert.pem", old.CertPEM), file(t, "key.pem", old.KeyPEM), file(t, "ca.pem", ca.PEM())
	keeper := sound(t, certs.Settings{CA: roots, Cert: cert, Key: key})
	var out recorder.Recorder
	keeper.Log(slog.New(slog.NewTextHandler(&out, nil)))
	count := func(what string) int { return strings.Count(out.String(), what) }
	trusted := keeper.TLS().RootCAs
	put := func(path string, text []byte) func() error { return func() error { return write(path, text) } }
	for _, c := range []struct {
		what              string
		change            func() error
		want              realkafka.Cert
		changes, warnings int // that are logged
	}{
		{"nothing", func() error { return nil }, old, 0, 0},
		{"no PEM", put(roots, []byte("v4lue")), old, 0, 1},
		{"cut off", put(roots, ca.PEM()[:100]), old, 0, 1},
		{"as before", put(roots, ca.PEM()), old, 0, 0},
		{"cut off again", put(roots, ca.PEM()[:100]), old, 0, 1},
		{"removed", func() error { return os.Remove(roots) }, old, 0, 1},
		{"a folder", func() error { return os.Mkdir(roots, 0o700) }, old, 0, 1},
		{"white space", func() error { return errors.Join(os.Remove(roots), write(roots, append([]byte("\n"), ca.PEM()...))) }, old, 0, 0},
		{"a new certificate", put(cert, fresh.CertPEM), old, 0, 1},
		{"its key, too", put(key, fresh.KeyPEM), fresh, 1, 0},
		{"expired", func() error { return errors.Join(write(key, expired.KeyPEM), write(cert, expired.CertPEM)) }, expired, 1, 1},
		{"another authority", put(roots, authority(t).PEM()), expired, 1, 1},
	} {
		before, changes, warnings := keeper.TLS(), count("level=INFO"), count("level=WARN")
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		after := keeper.TLS()
		for range 3 {
			if got := keeper.TLS(); presented(t, got) != string(c.want.CertPEM) || got.ClientSessionCache != after.ClientSessionCache {
				t.Errorf("%s: not the certificate that is wanted, or the sessions are others", c.what)
			}
		}
		if same := after.ClientSessionCache == before.ClientSessionCache; same != (c.changes == 0) {
			t.Errorf("%s: the sessions are the same: %t", c.what, same)
		}
		if changes, warnings = count("level=INFO")-changes, count("level=WARN")-warnings; changes != c.changes || warnings != c.warnings {
			t.Errorf("%s: %d changes and %d warnings, want %d and %d:\n%s", c.what, changes, warnings, c.changes, c.warnings, out.String())
		}
	}
	if keeper.TLS().RootCAs.Equal(trusted) {
		t.Error("the previous authority is trusted")
	}
	if count("setting=KAFKA_TLS_KEY") != 1 || count("has expired") != 2 || count("v4lue")+count(roots) != 0 {
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
		if err := errors.Join(write(cert, pairs[i%2].CertPEM), write(key, pairs[i%2].KeyPEM)); err != nil {
			t.Error(err)
		}
	}
	connecting.Wait()
}
