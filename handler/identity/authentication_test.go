package identity_test

import (
	"strings"
	"testing"

	"userrelay/handler/identity"
)

// named is the client id of a managed identity.
func named(i identity.Identity) string {
	if i.Managed == nil {
		return ""
	}
	return i.Managed.String()
}

func TestAuthenticationStrings(t *testing.T) {
	t.Parallel()
	const id = "01234567-89ab-cdef-0123-456789ABCDEF"
	for name, c := range map[string]struct{ text, clientID string }{
		"system-assigned":          {"Authorization=AAD", ""},
		"user-assigned":            {"Authorization=AAD;ClientId=" + id, id},
		"the other order":          {"ClientId=" + id + ";Authorization=AAD", id},
		"any case":                 {"authoRIZATION=aad;CLIENTID=" + id, id},
		"white space":              {" Authorization = AAD ;\n ClientId = " + id + " ", id},
		"empty parts":              {";;Authorization=AAD;; ;ClientId=" + id + ";", id},
		"a part without a value":   {"Authorization=AAD;what;ClientId=" + id, id},
		"a value without a key":    {"Authorization=AAD;=what", ""},
		"unknown keys":             {"Authorization=AAD;Tenant=x=y", ""},
		"Authorization twice":      {"Authorization=AAD;Authorization=AAD;", ""},
		"ClientId twice, the last": {"Authorization=AAD;ClientId=00000000-0000-0000-0000-000000000000;ClientId=" + id, id},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := identity.ParseAuthentication(c.text)
			if err != nil || got.Kind != identity.Managed || named(got) != c.clientID {
				t.Errorf("%+v, %v, want %q", got, err, c.clientID)
			}
		})
	}
}

func TestAuthenticationStringMistakes(t *testing.T) {
	t.Parallel()
	const secret = "xyzzy-1234"
	const (
		missing = "must have Authorization=AAD"
		other   = "must have Authorization=AAD; no other kind is supported"
		noGUID  = "must have a ClientId that is a GUID, or none"
	)
	for name, c := range map[string]struct{ text, want string }{
		"empty":                          {"", missing},
		"semicolons":                     {" ; ;", missing},
		"AAD alone":                      {"AAD", missing},
		"another key":                    {"Auth123=AAD", missing},
		"a ClientId alone":               {"ClientId=01234567-89ab-cdef-0123-456789abcdef", missing},
		"another kind":                   {"Authorization=" + secret, other},
		"no kind":                        {"Authorization=", other},
		"AAD and more":                   {"Authorization=AAD1", other},
		"another kind, later":            {"Authorization=AAD;Authorization=" + secret, other},
		"a ClientId that is none":        {"Authorization=AAD;ClientId=" + secret, noGUID},
		"an empty ClientId":              {"Authorization=AAD;ClientId=", noGUID},
		"a ClientId in braces":           {"Authorization=AAD;ClientId={01234567-89ab-cdef-0123-456789abcdef}", noGUID},
		"a ClientId with dashes missing": {"Authorization=AAD;ClientId=0123456789abcdef0123456789abcdef", noGUID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := identity.ParseAuthentication(c.text)
			if err == nil || err.Error() != c.want || got != (identity.Identity{}) {
				t.Errorf("%+v, %v, want %s", got, err, c.want)
			}
		})
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
