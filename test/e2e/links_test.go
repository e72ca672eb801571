package e2e_test

import (
	"debug/buildinfo"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// foreign are the modules and packages that are for tests and local runs only.
func foreign(path string) bool {
	for _, prefix := range []string{"github.com/twmb/", "userrelay/local", "userrelay/test", "github.com/pb33f/", "github.com/google/go-cmp", "go.uber.org/goleak", "go.etcd.io/", "github.com/CycloneDX/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// TestLinks shows that the handler contains no code for tests and local runs.
func TestLinks(t *testing.T) {
	t.Parallel()
	t.Run("modules in the binary", func(t *testing.T) {
		t.Parallel()
		info, err := buildinfo.ReadFile(handlerBinary)
		if err != nil {
			t.Fatal(err)
		}
		var modules []string
		for _, m := range info.Deps {
			modules = append(modules, m.Path)
		}
		checkLinks(t, modules, "github.com/segmentio/kafka-go")
	})
	t.Run("packages of the program", func(t *testing.T) {
		t.Parallel()
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./handler")
		list.Dir = moduleRoot
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		checkLinks(t, strings.Fields(string(out)), "userrelay/handler/kafka")
	})
}

func checkLinks(t *testing.T, paths []string, known string) {
	t.Helper()
	if !slices.Contains(paths, known) {
		t.Fatalf("%s is not among %q", known, paths)
	}
	if i := slices.IndexFunc(paths, foreign); i >= 0 {
		t.Errorf("the handler links %s", paths[i])
	}
}
