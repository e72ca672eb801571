package storagequeue

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const audience = "https://storage.azure.com"

// claims are the checked claims of a token.
type claims struct {
	Audience  string  `json:"aud"`
	Issuer    string  `json:"iss"`
	Expires   float64 `json:"exp"` // seconds since 1970, as all times here
	NotBefore float64 `json:"nbf"`
}

// validToken reports whether a bearer token is a currently valid JSON Web Token for Azure Storage. It does not check
// the signature, because this service has nothing to protect.
func validToken(token string, now time.Time) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var c claims
	if !decodePart(parts[0], &header) || header.Algorithm == "" || !decodePart(parts[1], &c) {
		return false
	}
	if _, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return false
	}
	seconds := float64(now.Unix())
	return strings.TrimSuffix(c.Audience, "/") == audience && c.Issuer != "" && c.NotBefore <= seconds && seconds < c.Expires
}

func decodePart(part string, v any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, v) == nil
}
