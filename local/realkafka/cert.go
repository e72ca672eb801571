package realkafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// CA is a certificate authority in memory. Use a second one for certificates that should not be trusted.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// CertSpec describes a certificate. The zero value gives a certificate that is valid for a day.
type CertSpec struct {
	// CommonName is also the Kafka principal of a client on the SSL listener. Default: User.
	CommonName string
	// Hosts are the server's names and IP addresses. Default: localhost and 127.0.0.1. Set others for a wrong host
	// name.
	Hosts []string
	// NotBefore and NotAfter limit its validity. Default: from an hour ago until in a day. Set NotAfter to the past
	// for an expired certificate.
	NotBefore, NotAfter time.Time
}

// Cert is a certificate and its private key, for servers and clients alike, as PEM. The key is PKCS#8.
type Cert struct {
	CertPEM, KeyPEM []byte
}

// NewCA makes an authority with a new key.
func NewCA(name string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for %s: %w", name, err)
	}
	tmpl := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-24 * time.Hour),
		NotAfter:              time.Now().Add(365 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	cert, err := sign(tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	return &CA{cert: cert, key: key}, nil
}

// Issue makes a certificate with a new key.
func (ca *CA) Issue(spec CertSpec) (Cert, error) {
	if spec.CommonName == "" {
		spec.CommonName = User
	}
	if spec.Hosts == nil {
		spec.Hosts = []string{"localhost", host}
	}
	if spec.NotBefore.IsZero() {
		spec.NotBefore = time.Now().Add(-time.Hour)
	}
	if spec.NotAfter.IsZero() {
		spec.NotAfter = time.Now().Add(24 * time.Hour)
	}
	tmpl := &x509.Certificate{
		Subject:     pkix.Name{CommonName: spec.CommonName},
		NotBefore:   spec.NotBefore,
		NotAfter:    spec.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range spec.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Cert{}, fmt.Errorf("make a key for %s: %w", spec.CommonName, err)
	}
	cert, err := sign(tmpl, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return Cert{}, fmt.Errorf("make a certificate for %s: %w", spec.CommonName, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Cert{}, fmt.Errorf("encode the key of %s: %w", spec.CommonName, err)
	}
	return Cert{
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, nil
}

// PEM is the authority's own certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Client returns the TLS configuration of a client without a certificate, which trusts only this authority.
func (ca *CA) Client() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// ClientWith is Client with a certificate. The client sends it even if the server does not name its issuer as trusted,
// so that tests can send a wrong one.
func (ca *CA) ClientWith(c Cert) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(c.CertPEM, c.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("load the client certificate: %w", err)
	}
	cfg := ca.Client()
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return cfg, nil
}

// keystore returns Kafka's format for ssl.keystore.type=PEM: the key first, then the chain.
func (c Cert) keystore() []byte { return slices.Concat(c.KeyPEM, c.CertPEM) }

func sign(tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	tmpl.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return x509.ParseCertificate(der)
}
