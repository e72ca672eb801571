package identity_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"userrelay/handler/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// named is the client id of a managed identity.
func named(i identity.Identity) string {
	if i.Managed == nil {
		return ""
	}
	return i.Managed.String()
}

func TestAuthenticationStrings(t *testing.T) {
	t.Parallel()
	const id, other, secret = "01234567-89ab-cdef-0123-456789ABCDEF", "00000000-0000-0000-0000-000000000000", "xyzzy-1234"
	for text, want := range map[string]string{ // the client id
		"Authorization=AAD":                                       "",
		"Authorization=AAD;ClientId=" + id:                        id,
		"ClientId=" + id + ";authoRIZATION=aad":                   id,
		" Authorization = AAD ;\n CLIENTID = " + id + " ":         id,
		";;Authorization=AAD;; ;what;ClientId=" + id + ";":        id,
		"Authorization=AAD;=what;Tenant=x=y;Authorization=AAD":    "",
		"Authorization=AAD;ClientId=" + other + ";ClientId=" + id: id,
	} {
		if got, err := identity.ParseAuthentication(text); err != nil || got.Kind != identity.Managed || named(got) != want {
			t.Errorf("%s: %+v, %v, want %q", text, got, err, want)
		}
	}
	const (
		missing = "must have Authorization=AAD"
		kind    = "must have Authorization=AAD; no other kind is supported"
		noGUID  = "must have a ClientId that is a GUID, or none"
	)
	for text, want := range map[string]string{
		"": missing, ";;": missing, "AAD": missing, "Auth123=AAD": missing, "ClientId=" + id: missing,
		"Authorization=" + secret: kind, "Authorization=": kind, "Authorization=AAD1": kind,
		"Authorization=AAD;Authorization=" + secret: kind,
		"Authorization=AAD;ClientId=" + secret:      noGUID, "Authorization=AAD;ClientId=": noGUID,
		"Authorization=AAD;ClientId={" + id + "}": noGUID,
	} {
		if got, err := identity.ParseAuthentication(text); err == nil || err.Error() != want || got != (identity.Identity{}) {
			t.Errorf("%s: %+v, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzParseAuthentication(f *testing.F) {
	f.Add("Authorization=AAD;ClientId=01234567-89ab-cdef-0123-456789abcdef")
	f.Add(";authorization = aad;;x")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := identity.ParseAuthentication(text)
		if err != nil {
			if a != (identity.Identity{}) || len(err.Error()) > 100 {
				t.Errorf("%+v, %v", a, err)
			}
			return
		}
		if id := named(a); !strings.Contains(strings.ToLower(text), "aad") || id != "" && (len(id) != 36 || !strings.Contains(text, id)) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}
