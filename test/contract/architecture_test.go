package contract_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/must"
)

// vocabulary are the packages whose imports the picture omits.
func vocabulary() []string { return []string{"delivery", "registration", "trace"} }

// imports returns the imports of each package of the handler and of local runs, by its path below the module.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./handler/...", "./local/...")
	list.Dir = moduleRoot
	all := map[string][]string{}
	for line := range strings.Lines(string(must.Get[[]byte](t)(list.Output()))) {
		fields := strings.Fields(line)
		all[strings.TrimPrefix(fields[0], "userrelay/")] = fields[1:]
	}
	if len(all) < 20 {
		t.Fatalf("go list found %v", all)
	}
	return all
}

// TestArchitecture compares the picture and the table of packages in architecture.md with the real imports.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/architecture.md")
	picture, words := map[string][]string{}, map[string]string{}
	for path, imports := range imports(t) {
		if !strings.HasPrefix(path, "handler") {
			continue
		}
		name := strings.TrimPrefix(path, "handler/")
		var known []string
		for _, i := range slices.Sorted(slices.Values(imports)) {
			switch below, ours := strings.CutPrefix(i, "userrelay/handler/"); {
			case ours && slices.Contains(vocabulary(), below):
				known = append(known, below)
			case ours:
				picture[name] = append(picture[name], below)
			}
		}
		words[name] = "none"
		if known != nil {
			words[name] = strings.Join(known, ", ")
		}
	}
	if d := cmp.Diff(picture, arrows(t, page)); d != "" {
		t.Errorf("imports (-code +picture):\n%s", d)
	}
	if d := cmp.Diff(words, packageTable(page)); d != "" {
		t.Errorf("vocabulary (-code +table):\n%s", d)
	}
}

// TestImportRules requires a rule of depguard that names each package of the handler and of local runs. Under the rules for
// all of them alone a package could import its neighbours.
func TestImportRules(t *testing.T) {
	t.Parallel()
	named, packages := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`"\*\*/((?:handler|local)(?:/\w+)*)(?:/\{([\w,]+)\})?/\*\.go"`).FindAllStringSubmatch(read(t, ".golangci.yml"), -1) {
		for below := range strings.SplitSeq(m[2], ",") {
			named[strings.TrimSuffix(m[1]+"/"+below, "/")] = true
		}
	}
	for path := range imports(t) {
		packages[path] = true
	}
	if d := cmp.Diff(packages, named); d != "" {
		t.Errorf("packages with a rule in .golangci.yml (-code +rules):\n%s", d)
	}
}

// arrows returns the arrows of the first picture, "a --> b & c", by the displayed names.
func arrows(t *testing.T, page string) map[string][]string {
	t.Helper()
	_, rest, _ := strings.Cut(page, "```mermaid\ngraph TD\n")
	graph, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no picture")
	}
	shown := map[string]string{} // by id
	label := regexp.MustCompile(`(\w+)\["([^" ]+)[^"]*"\]`)
	for _, m := range label.FindAllStringSubmatch(graph, -1) {
		shown[m[1]] = m[2]
	}
	graph = regexp.MustCompile(`\w+`).ReplaceAllStringFunc(label.ReplaceAllString(graph, "$1"), func(id string) string {
		if name, ok := shown[id]; ok {
			return name
		}
		return id
	})
	all := map[string][]string{}
	for line := range strings.Lines(graph) {
		if from, to, ok := strings.Cut(line, "-->"); ok { // else it is a node with a name of its own
			from = strings.TrimSpace(from)
			all[from] = append(all[from], strings.FieldsFunc(to, func(r rune) bool { return r == '&' || unicode.IsSpace(r) })...)
			slices.Sort(all[from])
		}
	}
	return all
}

// packageTable returns the last column of the table of packages.
func packageTable(page string) map[string]string {
	all := map[string]string{}
	_, table, _ := strings.Cut(page, "vocabulary it imports |\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			break
		}
		if name := strings.Trim(cells[1], " `"); !strings.HasPrefix(name, "-") {
			all[name] = strings.TrimSpace(cells[4])
		}
	}
	return all
}

// TestNamesInDocs checks that the files, tests and identifiers that these pages name exist.
func TestNamesInDocs(t *testing.T) {
	t.Parallel()
	sources, words := allSources(t), map[string]bool{}
	for _, text := range sources {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			words[word] = true
		}
	}
	code := regexp.MustCompile("`([^`\n]+)`")
	file := regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+/?$`)
	test := regexp.MustCompile(`^([\w/]+)\.(Test\w+)$`)
	identifier := regexp.MustCompile(`^([A-Za-z]\w*\.)*([A-Za-z]\w+)$`)
	for _, page := range []string{"docs/architecture.md", "docs/guarantees.md", "docs/reliability.md", "docs/benchmarks.md", "CONTRIBUTING.md"} {
		names := code.FindAllStringSubmatch(read(t, page), -1)
		if len(names) < 10 {
			t.Errorf("%s names %d things", page, len(names))
		}
		for _, m := range names {
			name := m[1]
			switch parts := test.FindStringSubmatch(name); {
			case parts != nil:
				if found, _ := filepath.Glob(filepath.Join(moduleRoot, parts[1], "*_test.go")); !slices.ContainsFunc(found, func(f string) bool {
					return strings.Contains(sources[filepath.ToSlash(f)], "func "+parts[2]+"(")
				}) {
					t.Errorf("%s: there is no test %s", page, name)
				}
			case file.MatchString(name):
				if !exists(name) && !exists("handler/"+name) && !strings.Contains(sources[dependencies], name) {
					t.Errorf("%s: there is no %s", page, name)
				}
			case identifier.MatchString(name):
				if !exists(name) && !words[name[strings.LastIndexByte(name, '.')+1:]] {
					t.Errorf("%s: nothing is called %s", page, name)
				}
			}
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(moduleRoot, name))
	return err == nil
}

// dependencies is the page about third-party modules.
const dependencies = moduleRoot + "/docs/dependencies.md"

// allSources returns the texts in which names can be defined, by path: code, configuration, and the list of
// dependencies.
func allSources(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(moduleRoot, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "node_modules" || name == ".git" || name == "bin"):
			return filepath.SkipDir
		case d.IsDir(), !slices.Contains([]string{".go", ".yml", ".yaml", ".js"}, filepath.Ext(name)) && name != "dependencies.md" && name != "Makefile":
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // G304: of this repository
		all[filepath.ToSlash(path)] = string(text)
		return err //nolint:wrapcheck // t.Fatal tells it
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
