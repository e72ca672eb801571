package e2e_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"userrelay/test/must"
)

// TestLinks shows that the handler contains no code for tests and local runs.
func TestLinks(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./handler")
	list.Dir = moduleRoot
	paths := strings.Fields(string(must.Get[[]byte](t)(list.Output())))
	for _, known := range []string{"github.com/segmentio/kafka-go/protocol", "userrelay/handler/kafka"} {
		if !slices.Contains(paths, known) {
			t.Fatalf("%s is not among %q", known, paths)
		}
	}
	for _, path := range paths {
		for _, foreign := range []string{
			"github.com/twmb/", "userrelay/local", "userrelay/test", "github.com/pb33f/", "github.com/google/go-cmp", "go.uber.org/goleak",
			"go.etcd.io/", "github.com/CycloneDX/",
		} {
			if strings.HasPrefix(path, foreign) {
				t.Errorf("the handler links %s", path)
			}
		}
	}
}
