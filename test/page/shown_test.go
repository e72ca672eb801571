package page

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

// showAll reads user ids from its input and writes how the page shows them. The page's module belongs to no package,
// so it is read as text.
const showAll = `
import { readFileSync } from 'node:fs';
const { shown } = await import('data:text/javascript,' + encodeURIComponent(readFileSync(process.argv[1], 'utf8')));
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(shown)));
`

// TestShown compares how the page and the handler's messages show user ids: invisible characters, and characters that
// reverse the text, must be escaped.
func TestShown(t *testing.T) {
	t.Parallel()
	program := find(t).node
	ids := []string{
		"auth0|61de2511fd334200aa221dff", "adfs|jane@example.com", "samlp|corp|Jane Doe", "a\nb", "a\r\tb", " a", "a ", `"a"`, `a"b\c`,
		"a\u00a0b", "a\u202eb", "a\u200bb", "a\u2066b", "\ufeffa", "a\u0000b", "a\u007fb", "\a\b\f\v\u001b", "é½Жض", "日本|\u3000x", "😀|1", "a\U000e0001b",
	}
	var want []string
	for _, id := range ids {
		want = append(want, registration.Shown(id))
	}
	in := must.Get[[]byte](t)(json.Marshal(ids))
	cmd := exec.CommandContext(t.Context(), program, "--input-type=module", "--eval", showAll, filepath.Join(root, "local/portal/page/shown.js"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), t.Output()
	var got []string
	if err := json.Unmarshal(must.Get[[]byte](t)(cmd.Output()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("handler (-) and page (+) show user ids differently:\n%s", diff)
	}
}
