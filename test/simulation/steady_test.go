package simulation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/test/must"
)

// swap replaces text in a source file of Go or of the handler.
type swap struct {
	file             string // beneath GOROOT/src, or absolute
	instead, planted string
}

// steadySwaps remove the randomness of Go's runtime: simultaneous timers fire in the order in which they were set, a
// select takes the first ready case, and the iteration order of a map is always the same. Without them one seed in
// twelve gives another run the second time, with them none in 200.
func steadySwaps() []swap {
	return []swap{
		{"runtime/time.go", "t.rand = cheaprand()", "t.rand = 0"},
		{"runtime/select.go", "j := cheaprandn(uint32(norder + 1))", "j := uint32(norder)"},
		{"internal/runtime/maps/map.go", "uintptr(rand())", "uintptr(12345)"},
		{"internal/runtime/maps/table.go", "= rand()", "= 0"},
	}
}

// build builds this test with a steady runtime and the other swaps. It takes a minute or two if this runtime is not in
// Go's cache yet.
func build(t *testing.T, more ...swap) (binary string) {
	t.Helper()
	root := must.Get[[]byte](t)(exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output())
	dir := t.TempDir()
	replace := map[string]string{}
	for i, s := range append(steadySwaps(), more...) {
		source := filepath.FromSlash(s.file)
		if !filepath.IsAbs(source) {
			source = filepath.Join(strings.TrimSpace(string(root)), "src", source)
		}
		text := string(must.Get[[]byte](t)(os.ReadFile(source)))
		if !strings.Contains(text, s.instead) {
			t.Fatalf("%s has no %q any more: find what stands there now", source, s.instead)
		}
		// With its own name, because some file names select a system.
		replace[source] = write(t, filepath.Join(dir, string(rune('a'+i))+".go"), []byte(strings.ReplaceAll(text, s.instead, s.planted)))
	}
	overlay := must.Get[[]byte](t)(json.Marshal(map[string]map[string]string{"Replace": replace}))
	list := write(t, filepath.Join(dir, "overlay.json"), overlay)
	binary = filepath.Join(dir, "simulation.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
