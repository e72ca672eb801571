package simulation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// swap replaces text in a source file of Go or of the handler.
type swap struct {
	file             string // beneath GOROOT/src, or absolute
	instead, planted string
	also             string // more of the file, behind its end
}

// steadySwaps remove the randomness of Go's runtime: simultaneous timers fire in the order in which they were set, a
// select takes the first ready case, and the iteration order of a map is always the same. Without them one seed in
// twelve gives another run the second time, with them none in 200.
func steadySwaps() []swap {
	return []swap{
		{file: "runtime/time.go", instead: "t.rand = cheaprand()", planted: "t.rand = 0"},
		{file: "runtime/select.go", instead: "j := cheaprandn(uint32(norder + 1))", planted: "j := uint32(norder)"},
		{file: "internal/runtime/maps/map.go", instead: "uintptr(rand())", planted: "uintptr(12345)"},
		{file: "internal/runtime/maps/table.go", instead: "= rand()", planted: "= 0"},
	}
}

// build builds this test with a steady runtime and the other swaps. It takes a minute or two if this runtime is not in
// Go's cache yet.
func build(t *testing.T, more ...swap) (binary string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("ask for GOROOT: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	dir := t.TempDir()
	replace := map[string]string{}
	for i, s := range append(steadySwaps(), more...) {
		source := filepath.FromSlash(s.file)
		if !filepath.IsAbs(source) {
			source = filepath.Join(root, source)
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), s.instead) {
			t.Fatalf("%s has no %q any more: find what stands there now", source, s.instead)
		}
		// With its own name, because some file names select a system.
		planted := filepath.Join(dir, string(rune('a'+i))+".go")
		swapped := strings.ReplaceAll(string(text), s.instead, s.planted) + s.also
		if err := os.WriteFile(planted, []byte(swapped), 0o600); err != nil { //nolint:gosec // G703: a folder of the test's own
			t.Fatal(err)
		}
		replace[source] = planted
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "simulation.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}
