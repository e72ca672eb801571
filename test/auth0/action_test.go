package auth0

import (
	"testing"
)

// TestAction runs the Action's own tests on the machine's Node and on Auth0's, and there asks for every branch.
func TestAction(t *testing.T) {
	t.Parallel()
	tests := []string{"test/delivery.test.mjs", "test/identity.test.mjs", "test/secrets.test.mjs"}
	for name, c := range map[string]struct {
		node func(*testing.T) string
		args []string
	}{
		"machine": {node, nil},
		"node 22": {node22, []string{
			"--experimental-test-coverage", "--test-coverage-include=actions/**",
			"--test-coverage-branches=100", "--test-coverage-functions=100", "--test-coverage-lines=100",
		}},
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
