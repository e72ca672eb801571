package simulation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// swap puts words in the place of others, in a source file of Go's or of the handler's.
type swap struct {
	file             string // beneath GOROOT/src, or absolute
	instead, planted string
	also             string // more of the file, behind its end
}

// steadySwaps take the lots out of Go's runtime: timers that end at the same moment fire in the order in which they were
// set, a select takes the first case that can go on, and a map is walked in the same order each time. Without them one seed in
// twelve is another run the second time, with them none in 200.
func steadySwaps() []swap {
	return []swap{
		{file: "runtime/time.go", instead: "t.rand = cheaprand()", planted: "t.rand = 0"},
		{file: "runtime/select.go", instead: "j := cheaprandn(uint32(norder + 1))", planted: "j := uint32(norder)"},
		{file: "internal/runtime/maps/map.go", instead: "uintptr(rand())", planted: "uintptr(12345)"},
		{file: "internal/runtime/maps/table.go", instead: "= rand()", planted: "= 0"},
	}
}

// build builds this test with a steady runtime, and with what else is swapped. It takes a minute or two where Go's cache has
// nothing of that runtime yet.
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
		// Beneath a name of its own: some files are for one system, by their name.
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
