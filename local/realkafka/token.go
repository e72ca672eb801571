package realkafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// Claims that the JWKS listener requires in a token.
const (
	Issuer   = "https://issuer.test"
	Audience = "kafka-test"
)

// Claims are the claims of a token (JWT, RFC 7519). Times have whole seconds.
type Claims struct {
	Subject  string // the Kafka principal
	Issuer   string
	Audience string
	IssuedAt time.Time
	Expires  time.Time // the broker allows 30 s of clock skew on the JWKS listener
}

// NewClaims returns claims that the listeners SASLSSL and JWKS accept for an hour.
func NewClaims(subject string) Claims {
	now := time.Now()
	return Claims{Subject: subject, Issuer: Issuer, Audience: Audience, IssuedAt: now, Expires: now.Add(time.Hour)}
}

// Signer signs tokens with ES256 (RFC 7518). Use a second one for tokens that brokers should not trust.
type Signer struct {
	key *ecdsa.PrivateKey
	kid string
}

// NewSigner makes a signer with a new key. The name becomes the key's id (kid).
func NewSigner(kid string) (*Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return &Signer{key: key, kid: kid}, nil
}

// Token returns the claims as a signed token.
func (s *Signer) Token(c Claims) (string, error) {
	signed := encode(map[string]any{"alg": "ES256", "typ": "JWT", "kid": s.kid}) + "." + c.encode()
	digest := sha256.Sum256([]byte(signed))
	r, t, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	var sig [64]byte // r and s, 32 bytes each
	r.FillBytes(sig[:32])
	t.FillBytes(sig[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig[:]), nil
}

// JWKS returns the key set (RFC 7517) for verifying the signer's tokens.
func (s *Signer) JWKS() ([]byte, error) {
	pub, err := s.key.PublicKey.Bytes() // 4, then x and y, 32 bytes each
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	return json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": s.kid,
		"x": base64.RawURLEncoding.EncodeToString(pub[1:33]),
		"y": base64.RawURLEncoding.EncodeToString(pub[33:]),
	}}})
}

// UnsecuredToken returns the claims as a token without a signature (alg none), which the SASLSSL listener accepts.
func UnsecuredToken(c Claims) string {
	return encode(map[string]any{"alg": "none"}) + "." + c.encode() + "."
}

func (c Claims) encode() string {
	return encode(map[string]any{
		"sub": c.Subject, "iss": c.Issuer, "aud": c.Audience, "iat": c.IssuedAt.Unix(), "exp": c.Expires.Unix(),
	})
}

func encode(m map[string]any) string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and integers only
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
