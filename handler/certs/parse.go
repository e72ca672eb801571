package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// certificatesOf reads all certificates of a text. A damaged one is an error that says which it is: a bundle without
// it would work until a broker's certificate comes from that authority.
func certificatesOf(text string) ([]*x509.Certificate, error) {
	all := blocks(text)
	candidates := slices.DeleteFunc(slices.Clone(all), func(b block) bool { return b.label != "" && !isCertificate(b.label) })
	if len(candidates) == 0 {
		return nil, whyNoCertificate(text, all)
	}
	certificates := make([]*x509.Certificate, 0, len(candidates))
	for i, b := range candidates {
		which := "a certificate"
		if len(candidates) > 1 {
			which = fmt.Sprintf("certificate %d of %d", i+1, len(candidates))
		}
		if b.label == "TRUSTEDCERTIFICATE" {
			return nil, fmt.Errorf("holds %s in OpenSSL's own format: convert it with openssl x509 -in FILE -out NEWFILE", which)
		}
		c, err := x509.ParseCertificate(b.der)
		if b.damaged || err != nil {
			return nil, fmt.Errorf("holds %s that is damaged: copy it again, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----", which)
		}
		certificates = append(certificates, c)
	}
	return certificates, nil
}

func isCertificate(label string) bool {
	return label == "CERTIFICATE" || label == "X509CERTIFICATE" || label == "TRUSTEDCERTIFICATE"
}

func isKey(label string) bool { return strings.HasSuffix(label, "PRIVATEKEY") }

func whyNoCertificate(text string, all []block) error {
	has := func(label string) bool {
		return slices.ContainsFunc(all, func(b block) bool { return strings.Contains(b.label, label) })
	}
	switch {
	case has("PRIVATEKEY"):
		return errors.New("holds a private key where a certificate belongs: is it swapped with " + KeyName + "?")
	case has("CERTIFICATEREQUEST"):
		return errors.New("holds a certificate signing request: the certificate that the authority issued for it belongs here")
	case has("PKCS7"), has("CMS"):
		return errors.New("holds PKCS#7: convert it with openssl pkcs7 -print_certs -in FILE -out NEWFILE")
	default:
		return whyNoPEM(text, "certificate", "openssl x509 -inform der -in FILE -out NEWFILE")
	}
}

func whyNoPEM(text, what, command string) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return errors.New("is binary, not PEM text: convert it with " + command + ", and a keystore (.p12, .jks) with openssl pkcs12")
	}
	return fmt.Errorf("holds no %s in PEM, which begins with -----BEGIN", what)
}

// keysOf reads the private keys of a text. It fails if there is none.
func keysOf(text string) ([]crypto.Signer, error) {
	all := blocks(text)
	var keys []crypto.Signer
	for _, b := range all {
		if b.label != "" && !isKey(b.label) {
			continue
		}
		key, err := keyOf(b)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) > 0 {
		return keys, nil
	}
	switch {
	case slices.ContainsFunc(all, func(b block) bool { return isCertificate(b.label) }):
		return nil, errors.New("holds a certificate where its private key belongs: is it swapped with " + CertName + "?")
	case slices.ContainsFunc(all, func(b block) bool { return strings.HasSuffix(b.label, "PUBLICKEY") }):
		return nil, errors.New("holds a public key where the private key belongs")
	default:
		return nil, whyNoPEM(text, "private key", "openssl pkey -inform der -in FILE -out NEWFILE")
	}
}

func keyOf(b block) (crypto.Signer, error) {
	switch {
	case b.encrypted, b.label == "ENCRYPTEDPRIVATEKEY":
		return nil, errors.New("is encrypted, and there is no setting for its password: decrypt it with openssl pkey -in FILE -out NEWFILE, and keep that in Key Vault")
	case b.label == "OPENSSHPRIVATEKEY":
		return nil, errors.New("is in OpenSSH's own format: convert it with ssh-keygen -p -m PKCS8 -f FILE")
	case b.damaged:
		return nil, errDamagedKey
	}
	if key, err := x509.ParsePKCS8PrivateKey(b.der); err == nil {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return key, nil
		case ed25519.PrivateKey:
			return key, nil
		default:
			return nil, errors.New("is a key of a kind that TLS does not use: RSA, ECDSA and Ed25519 are possible")
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(b.der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(b.der); err == nil {
		return key, nil
	}
	return nil, errDamagedKey
}

var errDamagedKey = errors.New("is damaged: copy it again, from -----BEGIN to -----END with the hyphens around them")
