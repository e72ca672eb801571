package auth0

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bound is a binding in the API's list.
func bound(id, name string) map[string]any {
	return map[string]any{
		"id": id, "trigger_id": "post-user-registration", "display_name": name + " shown",
		"action": map[string]any{"id": "act-" + id, "name": name},
	}
}

func byID(id, name string) map[string]any {
	return map[string]any{"ref": map[string]any{"type": "binding_id", "value": id}, "display_name": name + " shown"}
}

// TestBind shows that binding the Action keeps the other bindings in their order, and adds ours once at the end.
func TestBind(t *testing.T) {
	t.Parallel()
	ours := map[string]any{
		"ref":          map[string]any{"type": "action_name", "value": "notify-user-registered"},
		"display_name": "notify-user-registered",
	}
	for name, c := range map[string]struct {
		bindings []map[string]any
		want     []any // nil: no change
		says     string
	}{
		"none":   {nil, []any{ours}, "is bound, after 0 others"},
		"others": {[]map[string]any{bound("b2", "mail"), bound("b1", "crm")}, []any{byID("b2", "mail"), byID("b1", "crm"), ours}, "is bound, after 2 others"},
		"ours":   {[]map[string]any{bound("b2", "mail"), bound("b3", "notify-user-registered")}, nil, "is bound already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startTenant(t)
			a.has(func() { a.bindings = c.bindings })
			done := execute(t, sources, a.env(), node(t), "bind.mjs")
			if done.code != 0 || !strings.Contains(done.stdout, c.says) || done.stderr != "" {
				t.Errorf("got exit code %d\n%s", done.code, done)
			}
			var want []sent
			if c.want != nil {
				want = []sent{{"PATCH actions/triggers/post-user-registration/bindings", map[string]any{"bindings": c.want}}}
			}
			if diff := cmp.Diff(want, a.changes(), cmp.AllowUnexported(sent{})); diff != "" {
				t.Errorf("sent to the tenant (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBindRefused shows that a failure is reported in one line without secrets, and changes nothing.
func TestBindRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  func(a *tenant) []string
		says string
	}{
		"not set":        {func(*tenant) []string { return nil }, "bind: not set: AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET\n"},
		"wrong secret":   {func(a *tenant) []string { return append(a.env(), "AUTH0_CLIENT_SECRET=wr0ng") }, "bind: POST /oauth/token: HTTP 401\n"},
		"not trusted":    {func(a *tenant) []string { return append(a.env(), "NODE_EXTRA_CA_CERTS=") }, "bind: POST /oauth/token: no answer (DEPTH_ZERO_SELF_SIGNED_CERT)\n"},
		"more than came": {(*tenant).env, "bind: 0 of 101 bindings came: bind it in the Dashboard\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startTenant(t)
			if name == "more than came" {
				a.has(func() { a.more = 101 })
			}
			done := execute(t, sources, c.env(a), node(t), "bind.mjs")
			if done.code != 1 || done.stdout != "" || done.stderr != c.says {
				t.Errorf("got exit code %d and %q, want 1 and %q", done.code, done, c.says)
			}
			if changes := a.changes(); len(changes) > 0 {
				t.Errorf("it changed %v", changes)
			}
		})
	}
}
