package storagequeue

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"userrelay/local/devstorage"
)

// maxSkew is the largest difference between a request's date and the service's clock.
const maxSkew = 15 * time.Minute

// authenticate returns an error unless the request is signed with the account's key, or has a bearer token and uses
// TLS.
func (h *handler) authenticate(r *http.Request, q query) error {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return errNoAuthentication
	}
	scheme, credentials, ok := strings.Cut(values[0], " ")
	if !ok || len(values) > 1 {
		return errAuthenticationForm
	}
	switch {
	case scheme == "SharedKey":
		return checkSignature(r, q, credentials)
	case strings.EqualFold(scheme, "Bearer"):
		if !h.secure || !validToken(credentials, time.Now()) {
			return errAuthentication
		}
		return nil
	default:
		return errAuthenticationForm // SharedKeyLite too: neither client uses it
	}
}

// checkSignature checks "account:signature", the latter an HMAC-SHA256 with the account's key.
func checkSignature(r *http.Request, q query, credentials string) error {
	name, signature, ok := strings.Cut(credentials, ":")
	if !ok || name == "" {
		return errAuthenticationForm
	}
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return errAuthenticationForm
	}
	sent := r.Header.Get("X-Ms-Date")
	if sent == "" {
		sent = r.Header.Get("Date")
	}
	at, err := http.ParseTime(sent)
	if err != nil || time.Since(at).Abs() > maxSkew {
		return errAuthentication
	}
	key, err := base64.StdEncoding.DecodeString(devstorage.Key)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(stringToSign(r, q)))
	if name != account || !hmac.Equal(given, mac.Sum(nil)) {
		return errAuthentication
	}
	return nil
}

// stringToSign returns the string that a client signs, according to the reference's page "Authorize with Shared Key":
// the form for queues and blobs, of version 2015-02-21 and later.
func stringToSign(r *http.Request, q query) string {
	length := ""
	if r.ContentLength > 0 {
		length = strconv.FormatInt(r.ContentLength, 10)
	}
	sent := r.Header.Get("Date")
	if r.Header.Get("X-Ms-Date") != "" {
		sent = ""
	}
	lines := []string{r.Method, r.Header.Get("Content-Encoding"), r.Header.Get("Content-Language"), length}
	lines = append(lines, r.Header.Get("Content-MD5"), r.Header.Get("Content-Type"), sent)
	for _, name := range []string{"If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"} {
		lines = append(lines, r.Header.Get(name))
	}
	own := make(map[string]string)
	for name, values := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-ms-") {
			own[name] = strings.Join(values, ",")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		lines = append(lines, name+":"+own[name])
	}
	// The path of an emulator includes the account, so that it occurs here twice.
	lines = append(lines, "/"+account+r.URL.EscapedPath())
	for _, name := range slices.Sorted(maps.Keys(q)) {
		lines = append(lines, name+":"+strings.Join(slices.Sorted(slices.Values(q[name])), ","))
	}
	return strings.Join(lines, "\n")
}
