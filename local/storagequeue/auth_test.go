package storagequeue_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/local/storagequeue"
)

// tamper is a transport that changes a request after it has been signed.
type tamper struct {
	client *http.Client
	change func(*http.Request)
}

func (s tamper) Do(r *http.Request) (*http.Response, error) {
	s.change(r)
	return s.client.Do(r) //nolint:gosec // to a server of this test
}

func (s target) testSignatures(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	name := q.URL()[len(s.url)+1:]
	var res *http.Response
	_, err := s.serviceAs(t, account, base64.StdEncoding.EncodeToString([]byte("another key"))).NewQueueClient(name).GetProperties(t.Context(), nil)
	want(t, "another key", "403 AuthenticationFailed", nil, err)
	_, err = s.serviceAs(t, "another", key).NewQueueClient(name).GetProperties(t.Context(), nil)
	want(t, "another account's name", "403 AuthenticationFailed", nil, err)
	for what, change := range map[string]func(*http.Request){
		"method":    func(r *http.Request) { r.Method = http.MethodGet },
		"path":      func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "/test-", "/toast-", 1) },
		"parameter": func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "=60", "=61", 1) },
		"addition":  func(r *http.Request) { r.URL.RawQuery += "&timeout=10" },
		"version":   func(r *http.Request) { r.Header.Set("X-Ms-Version", "2025-07-05") },
		"date": func(r *http.Request) {
			r.Header.Set("X-Ms-Date", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
		},
		"header": func(r *http.Request) { r.Header.Set("X-Ms-Meta-More", "x") },
		"type":   func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"length": func(r *http.Request) {
			body := "<QueueMessage><MessageText>another</MessageText></QueueMessage>"
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		},
	} {
		o := s.options()
		o.Transport = tamper{s.client, change}
		credential, err := azqueue.NewSharedKeyCredential(account, key)
		if err != nil {
			t.Fatal(err)
		}
		tampered, err := azqueue.NewQueueClientWithSharedKeyCredential(q.URL(), credential, o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tampered.EnqueueMessage(t.Context(), "x", &azqueue.EnqueueMessageOptions{VisibilityTimeout: new(int32(60))})
		want(t, "another "+what, "403 AuthenticationFailed", nil, err)
	}
	_, err = q.EnqueueMessage(capture(t, &res), "x", nil)
	want(t, "the same, untouched", "201", res, err)
	if n := count(t, q); n != 1 {
		t.Errorf("%d messages, want only that of the last", n)
	}
}

// token is a credential that always returns the same token.
type token string

func (s token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// jwt makes an unsigned token. begins and ends are minutes from now.
func jwt(audience string, begins, ends int) string {
	at := func(minutes int) int64 { return time.Now().Add(time.Duration(minutes) * time.Minute).Unix() }
	claims := fmt.Sprintf(`{"aud":%q,"iss":"https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/","iat":%d,"nbf":%[3]d,"exp":%[4]d,"oid":"x"}`,
		audience, at(begins), at(begins), at(ends))
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + part([]byte(claims)) + "."
}

const storage = "https://storage.azure.com"

// withToken returns the client of a queue that uses a token.
func (s target) withToken(t *testing.T, name, shown string) *azqueue.QueueClient {
	t.Helper()
	o := s.options()
	o.InsecureAllowCredentialWithHTTP = true // whether it is taken is for the service to say
	q, err := azqueue.NewQueueClient(s.url+"/"+name, token(shown), o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (s target) testTokens(t *testing.T) {
	t.Parallel()
	s.queue(t) // with the key, over TLS
	q := s.withToken(t, "by-token", jwt(storage, -1, 60))
	var res *http.Response
	_, err := q.Create(capture(t, &res), nil)
	want(t, "create", "201", res, err)
	put(t, q, "x", nil)
	m := getOne(t, q, 60)
	_, err = q.DeleteMessage(capture(t, &res), *m.MessageID, *m.PopReceipt, nil)
	want(t, "delete", "204", res, err)
	for what, tt := range map[string]struct{ want, token string }{
		"audience with a slash": {"200", jwt(storage+"/", -1, 60)},
		"another audience":      {"403 AuthenticationFailed", jwt("https://vault.azure.net", -1, 60)},
		"expired":               {"403 AuthenticationFailed", jwt(storage, -60, -1)},
		"not valid yet":         {"403 AuthenticationFailed", jwt(storage, 30, 60)},
		"not a token":           {"403 AuthenticationFailed", "secret"},
	} {
		res = nil
		_, err := s.withToken(t, "by-token", tt.token).GetProperties(capture(t, &res), nil)
		want(t, what, tt.want, res, err)
	}
}

// TestAuthentication uses a service over TLS, with tokens on the stand-in and on Azurite, and with the key. See also
// TestConformance.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	t.Run("stand-in", func(t *testing.T) {
		t.Parallel()
		s := start(t, storagequeue.Config{Certificate: certificate(t)})
		t.Run("signatures over TLS", s.testSignatures)
		t.Run("tokens", s.testTokens)
	})
	t.Run("azurite", func(t *testing.T) {
		t.Parallel()
		t.Run("tokens", azurite(t, certificate(t)).testTokens) // with tokens it takes no wrong signature for one
	})
}

// TestRefusedCredentials compares the stand-in with the reference. Azurite differs: it checks no dates, answers 403 to
// a request without credentials, and 403 or 500 to an unreadable header.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	s := start(t, storagequeue.Config{Certificate: certificate(t)})
	plain := start(t, storagequeue.Config{})
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	good := jwt(storage, -1, 60)
	header, claims, _ := strings.Cut(strings.TrimSuffix(good, "."), ".")
	for what, tt := range map[string]struct {
		target  target
		want    string
		headers []string // lines
	}{
		"none":                    {s, "401 NoAuthenticationInformation", nil},
		"empty":                   {s, "400 InvalidAuthenticationInfo", []string{"Authorization: "}},
		"another scheme":          {s, "400 InvalidAuthenticationInfo", []string{"Authorization: Basic c2VjcmV0"}},
		"no signature":            {s, "400 InvalidAuthenticationInfo", []string{"Authorization: SharedKey " + account}},
		"no account":              {s, "400 InvalidAuthenticationInfo", []string{"Authorization: SharedKey :c2VjcmV0"}},
		"not base64":              {s, "400 InvalidAuthenticationInfo", []string{"Authorization: SharedKey " + account + ":sec ret"}},
		"two":                     {s, "400 InvalidAuthenticationInfo", []string{"Authorization: Bearer " + good, "Authorization: Bearer " + good}},
		"the lite scheme":         {s, "400 InvalidAuthenticationInfo", []string{"Authorization: SharedKeyLite " + account + ":c2VjcmV0"}},
		"no date":                 {s, "403 AuthenticationFailed", []string{"Authorization: SharedKey " + account + ":c2VjcmV0"}},
		"a date that is none":     {s, "403 AuthenticationFailed", []string{"Authorization: SharedKey " + account + ":c2VjcmV0", "X-Ms-Date: secret"}},
		"a wrong signature":       {s, "403 AuthenticationFailed", []string{"Authorization: SharedKey " + account + ":c2VjcmV0", "X-Ms-Date: " + at(0)}},
		"a token without TLS":     {plain, "403 AuthenticationFailed", []string{"Authorization: Bearer " + good}},
		"a token of two parts":    {s, "403 AuthenticationFailed", []string{"Authorization: Bearer " + header + "." + claims}},
		"a token of four parts":   {s, "403 AuthenticationFailed", []string{"Authorization: Bearer " + good + ".c2VjcmV0"}},
		"a token without a head":  {s, "403 AuthenticationFailed", []string{"Authorization: Bearer ." + claims + "."}},
		"a token that says 2×":    {s, "403 AuthenticationFailed", []string{"Authorization: Bearer " + header + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":"`+storage+`","aud":"`+storage+`","iss":"x","exp":9999999999}`)) + "."}},
		"a token without an end":  {s, "403 AuthenticationFailed", []string{"Authorization: Bearer " + header + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":"`+storage+`","iss":"x"}`)) + "."}},
		"a token, not in base64":  {s, "403 AuthenticationFailed", []string{"Authorization: Bearer " + header + "." + claims + ".sec ret"}},
		"a shared access address": {s, "401 NoAuthenticationInformation", nil},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.target.url+"/abc?comp=metadata", nil)
		if err != nil {
			t.Fatal(err)
		}
		if what == "a shared access address" {
			req.URL.RawQuery += "&sv=2025-07-05&sig=c2VjcmV0"
		}
		req.Header.Set("X-Ms-Version", "2025-07-05")
		for _, line := range tt.headers {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Add(name, value)
		}
		res := do(t, tt.target.client, req)
		if got := res.outcome(); got != tt.want {
			t.Errorf("%s: got %s, want %s", what, got, tt.want)
		}
		if challenge := res.header.Get("WWW-Authenticate"); (res.status == http.StatusUnauthorized) != strings.Contains(challenge, `resource_id="`+storage+`"`) {
			t.Errorf("%s: the challenge is %q", what, challenge)
		}
		for _, secret := range []string{"c2VjcmV0", "secret", "sec ret", key, claims} {
			if strings.Contains(res.body, secret) {
				t.Errorf("%s: the answer repeats %q: %s", what, secret, res.body)
			}
		}
	}
}

// TestDates shows that a signed request expires.
func TestDates(t *testing.T) {
	t.Parallel()
	s := start(t, storagequeue.Config{})
	name := s.queue(t).URL()[len(s.url)+1:]
	for shift, outcome := range map[time.Duration]string{
		-14 * time.Minute: "200", 14 * time.Minute: "200",
		-16 * time.Minute: "403 AuthenticationFailed", 16 * time.Minute: "403 AuthenticationFailed",
	} {
		res := s.send(t, sent{method: http.MethodGet, path: "/" + name + "?comp=metadata", headers: []string{
			"X-Ms-Date: " + time.Now().Add(shift).UTC().Format(http.TimeFormat),
		}})
		if got := res.outcome(); got != outcome {
			t.Errorf("a date of %v: got %s, want %s", shift, got, outcome)
		}
	}
}
