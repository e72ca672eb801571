package auth0

import (
	"path/filepath"
	"testing"
)

// TestAction runs the Actions' own tests on the machine's Node and on Auth0's. On the latter it requires full branch
// coverage; for the second Action without the branches of the profile, which it never has.
func TestAction(t *testing.T) {
	t.Parallel()
	tests, err := filepath.Glob(filepath.Join(sources, "test", "*.test.mjs"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests (%v)", err)
	}
	for i, file := range tests {
		tests[i] = "test/" + filepath.Base(file)
	}
	covered := func(action, lines, branches string) []string {
		return []string{
			"--experimental-test-coverage", "--test-coverage-include=actions/" + action + "/**",
			"--test-coverage-branches=" + branches, "--test-coverage-functions=100", "--test-coverage-lines=" + lines,
		}
	}
	for name, c := range map[string]struct {
		node func(*testing.T) string
		args []string
	}{
		"machine":                         {node, nil},
		"node 22, notify-user-registered": {node22, covered("notify-user-registered", "100", "100")},
		"node 22, notify-user-created":    {node22, covered("notify-user-created", "95", "90")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := execute(t, sources, nil, c.node(t), append(append([]string{"--test", "--test-reporter=spec"}, c.args...), tests...)...)
			if done.code != 0 {
				t.Errorf("exit code %d\n%s", done.code, done)
			}
		})
	}
}

// TestBuilt shows that the Actions' code equals the output of build.mjs, and that this check can fail.
func TestBuilt(t *testing.T) {
	t.Parallel()
	if done := execute(t, sources, nil, node(t), "build.mjs", "--check"); done.code != 0 {
		t.Errorf("exit code %d\n%s", done.code, done)
	}
	folder := t.TempDir()
	for _, file := range []string{
		"build.mjs", "package.json", "actions/src/delivery.js", "actions/src/notify-user-registered.js", "actions/src/notify-user-created.js",
	} {
		write(t, filepath.Join(folder, file), read(t, filepath.Join(sources, file)))
	}
	if done := execute(t, folder, nil, node(t), "build.mjs", "--check"); done.code != 1 {
		t.Errorf("nothing is built: exit code %d\n%s", done.code, done)
	}
	if done := execute(t, folder, nil, node(t), "build.mjs"); done.code != 0 {
		t.Errorf("exit code %d\n%s", done.code, done)
	}
	for _, code := range []string{actionCode, streamCode} {
		built, err := filepath.Rel(sources, code)
		if err != nil {
			t.Fatal(err)
		}
		if string(read(t, filepath.Join(folder, built))) != string(read(t, code)) {
			t.Errorf("%s is not what its sources make", code)
		}
		write(t, filepath.Join(folder, built), []byte("changed by hand"))
	}
	if done := execute(t, folder, nil, node(t), "build.mjs", "--check"); done.code != 1 {
		t.Errorf("changed by hand: exit code %d\n%s", done.code, done)
	}
}
