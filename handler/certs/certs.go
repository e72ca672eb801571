// Package certs reads the certificates and the key of the TLS settings, as text or from files, and turns them into the
// configuration of a connection.
//
// It promises to accept PEM in every form that portals, shells and editors produce, to skip nothing silently, and to
// say in a sentence how to fix what it cannot read, without repeating any of it. It reads files again for each new
// connection, so that renewed certificates take effect without a restart.
package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// The settings' names.
const (
	CAName   = "KAFKA_TLS_CA"
	CertName = "KAFKA_TLS_CERT"
	KeyName  = "KAFKA_TLS_KEY"
)

// Settings are the values of the settings, "" if not set: PEM text, or the path of a file with it.
type Settings struct {
	CA   string // that sign the servers' certificates; "": the system's
	Cert string // of the client, with what leads to its authority; "": none
	Key  string // of the client
}

// Problem says what is wrong or suspicious about a setting.
type Problem struct {
	Name string // of the setting
	Text string // of it: "is encrypted: …"
}

// Certificates are the certificates of a TLS client. They are safe for use by several goroutines.
type Certificates struct {
	ca, cert, key source
	log           *slog.Logger

	mu      sync.Mutex
	read    texts // as used now
	made    *parsed
	config  *tls.Config
	problem string // the last one logged, about files that cannot be used; "" if they can
}

// texts are the PEM texts of the three settings, "" for one that is not set.
type texts struct{ ca, cert, key string }

// parsed are the contents of the texts.
type parsed struct {
	authorities []*x509.Certificate
	client      *tls.Certificate // nil: none
}

// New reads the certificates. They can be used if it returns no problem.
func New(s Settings) (*Certificates, []Problem) {
	c := &Certificates{ca: sourceOf(s.CA), cert: sourceOf(s.Cert), key: sourceOf(s.Key), log: slog.New(slog.DiscardHandler)}
	var problems []Problem
	if (s.Cert == "") != (s.Key == "") {
		missing := CertName
		if s.Key == "" {
			missing = KeyName
		}
		problems = append(problems, Problem{missing, "is missing: " + CertName + " and " + KeyName + " go together"})
	}
	read, found := c.readAll()
	made, more := read.parse()
	if problems = append(append(problems, found...), more...); len(problems) > 0 {
		return nil, problems
	}
	c.read, c.made, c.config = read, made, made.config()
	return c, nil
}

// Log sets the logger for problems with files that change while the program runs. It must be called before TLS.
func (c *Certificates) Log(log *slog.Logger) { c.log = log }

// readAll reads the texts of all settings.
func (c *Certificates) readAll() (texts, []Problem) {
	var (
		all      texts
		problems []Problem
	)
	for _, one := range []struct {
		name string
		from source
		to   *string
	}{{CAName, c.ca, &all.ca}, {CertName, c.cert, &all.cert}, {KeyName, c.key, &all.key}} {
		text, err := one.from.read()
		if err != nil {
			problems = append(problems, Problem{one.name, err.Error()})
		}
		*one.to = text
	}
	return all, problems
}

// parse parses the texts and skips empty ones.
func (t texts) parse() (*parsed, []Problem) {
	var (
		p        parsed
		problems []Problem
		chain    []*x509.Certificate
		keys     []crypto.Signer
		err      error
	)
	note := func(name string, err error) {
		if err != nil {
			problems = append(problems, Problem{name, err.Error()})
		}
	}
	if t.ca != "" {
		p.authorities, err = certificatesOf(t.ca)
		note(CAName, err)
	}
	if t.cert != "" {
		chain, err = certificatesOf(t.cert)
		note(CertName, err)
	}
	if t.key != "" {
		keys, err = keysOf(t.key)
		note(KeyName, err)
	}
	if chain != nil && keys != nil {
		if p.client = pair(chain, keys); p.client == nil {
			problems = append(problems, Problem{KeyName, "is not the key of the certificate in " + CertName + ": give the two that were made together"})
		}
	}
	return &p, problems
}

// pair returns the chain with the certificate that belongs to the key first, or nil if none does.
func pair(chain []*x509.Certificate, keys []crypto.Signer) *tls.Certificate {
	for i, leaf := range chain {
		public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if !ok {
			continue
		}
		for _, key := range keys {
			if !public.Equal(key.Public()) {
				continue
			}
			c := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
			for _, other := range slices.Delete(slices.Clone(chain), i, i+1) {
				c.Certificate = append(c.Certificate, other.Raw)
			}
			return c
		}
	}
	return nil
}

const sessions = 64 // of TLS that can be resumed, one for each broker

// config returns the configuration of connections. A session is resumed only while the certificates are the same: a
// resumed handshake does not check new ones.
func (p *parsed) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessions)}
	if p.authorities != nil {
		c.RootCAs = x509.NewCertPool()
		for _, a := range p.authorities {
			c.RootCAs.AddCert(a)
		}
	}
	if p.client != nil {
		// The certificate is also sent if the server names other authorities: the server decides whom it trusts, and
		// reports a refusal.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.client, nil }
	}
	return c
}

// TLS returns the configuration for a new connection, which must clone it. It reads changed files again. If they
// cannot be used it keeps the previous certificates, and logs the problem once.
func (c *Certificates) TLS() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ca.path == "" && c.cert.path == "" && c.key.path == "" {
		return c.config
	}
	read, problems := c.readAll()
	if len(problems) == 0 && read == c.read {
		c.problem = ""
		return c.config
	}
	var made *parsed
	if len(problems) == 0 {
		made, problems = read.parse()
	}
	if len(problems) > 0 {
		c.tell(problems)
		return c.config
	}
	c.read, c.made, c.config, c.problem = read, made, made.config(), ""
	c.log.Info("The certificates for Kafka have changed and were read again")
	for _, w := range c.warnings(time.Now()) {
		c.log.Warn("A certificate looks wrong", "setting", w.Name, "why", w.Text)
	}
	return c.config
}

// tell logs once what is wrong with changed files.
func (c *Certificates) tell(problems []Problem) {
	text := fmt.Sprint(problems)
	if text == c.problem {
		return
	}
	c.problem = text
	for _, p := range problems {
		c.log.Warn("The certificates for Kafka have changed and cannot be used; the previous ones stay in use", "setting", p.Name, "why", p.Text)
	}
}

// Warnings returns what is suspicious about the certificates at the given time.
func (c *Certificates) Warnings(now time.Time) []Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.warnings(now)
}

func (c *Certificates) warnings(now time.Time) []Problem {
	var odd []Problem
	for i, a := range c.made.authorities {
		if now.After(a.NotAfter) {
			odd = append(odd, Problem{CAName, fmt.Sprintf("holds a certificate that has expired, number %d of %d: remove it, and put in its successor", i+1, len(c.made.authorities))})
		}
	}
	if c.made.client == nil {
		return odd
	}
	switch leaf := c.made.client.Leaf; {
	case now.After(leaf.NotAfter):
		odd = append(odd, Problem{CertName, "has expired, at " + date(leaf.NotAfter) + ": brokers will refuse it, renew it"})
	case now.Before(leaf.NotBefore):
		odd = append(odd, Problem{CertName, "is not valid before " + date(leaf.NotBefore) + ": brokers will refuse it until then, or the clock is wrong"})
	}
	return odd
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
