package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallApp is a small app like the project's, which tests can change.
func smallApp() map[string]string {
	return map[string]string{
		"go.mod":                 "module small\n\ngo 1.26\n",
		"handler/main.go":        "package main\n\nfunc main() {}\n",
		"host.json":              "{\r\n\"version\":\"2.0\",\"customHandler\":{\"description\":{\"defaultExecutablePath\":\"bin/handler\"}}\r\n}\r\n",
		"One/function.json":      "{\"bindings\":[{\"type\":\"httpTrigger\"}]}\r\n",
		"One/README.md":          "not for Azure",
		"docs/readme.md":         "not for Azure",
		"local.settings.json":    "{\"Values\":{\"KAFKA_SASL_PASSWORD\":\"not for Azure\"}}",
		"deep/Two/function.json": "{}",
	}
}

func lay(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The user's settings and the system's line ends must not affect the package.
func TestPackageIsTheSameForEverybody(t *testing.T) {
	app := smallApp()
	first := pack(t, lay(t, app))

	for name, content := range app {
		app[name] = strings.ReplaceAll(content, "\r\n", "\n")
	}
	root := lay(t, app)
	if err := os.Chmod(filepath.Join(root, "host.json"), 0o400); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOS", "windows")
	t.Setenv("GOARCH", "arm64")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("GOFLAGS", "-race -tags=other")
	t.Setenv("TZ", "Asia/Kathmandu")
	second := pack(t, root)
	if !bytes.Equal(first, second) {
		t.Error("the packages differ")
	}

	folder, modes := unpack(t, second)
	names := []string{}
	for name := range modes {
		names = append(names, name)
	}
	if len(names) != 3 {
		t.Errorf("%q are packed", names)
	}
	host, err := os.ReadFile(filepath.Join(folder, "host.json"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(app["host.json"], string(host)); d != "" {
		t.Error(d)
	}
}

// Untracked files mark the program as changed only if they can get into it.
func TestNewFilesDoNotShow(t *testing.T) {
	t.Parallel()
	app := smallApp()
	app["infra/main.tf"] = ""
	root := lay(t, app)
	git := func(args ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	git("init", "-q")
	git("add", ".")
	git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "all of it")
	add := func(name, content string) {
		t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	committed := pack(t, root)
	if !bytes.Contains(committed, []byte("host.json")) {
		t.Fatal("nothing is packed")
	}
	for _, name := range []string{"dist/userrelay.zip", "infra/.terraform.lock.hcl", "infra/backend.tf"} {
		add(name, "new")
		if !bytes.Equal(pack(t, root), committed) {
			t.Errorf("%s shows", name)
		}
	}
	add("handler/more.go", "package main\n\nfunc more() {}\n")
	if bytes.Equal(pack(t, root), committed) {
		t.Error("new code does not show")
	}
	if err := os.Remove(filepath.Join(root, "handler", "more.go")); err != nil {
		t.Fatal(err)
	}
	add("infra/main.tf", "changed")
	if bytes.Equal(pack(t, root), committed) {
		t.Error("a changed file does not show")
	}
}

func TestWhatCannotBePacked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, content string // spoilt; no content: it is not there
		want          string
	}{
		"another folder":          {"host.json", "", "run this in the project's folder"},
		"another handler":         {"host.json", `{"customHandler":{"description":{"defaultExecutablePath":"handler"}}}`, `defaultExecutablePath is "handler"`},
		"host.json is no JSON":    {"host.json", `{"customHandler":`, "read host.json"},
		"no functions":            {"One/function.json", "", "no folder has a function.json"},
		"a function is no JSON":   {"One/function.json", `{"bindings":[}`, "read One/function.json"},
		"a function has no parts": {"One/function.json", `{"bindings":[]}`, "One/function.json has no bindings"},
		"the handler has a fault": {"handler/main.go", "package main\n\nfunc main() { none() }\n", "undefined: none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := smallApp()
			delete(app, c.file)
			if c.content != "" {
				app[c.file] = c.content
			}
			folder := t.TempDir()
			out := filepath.Join(folder, "userrelay.zip")
			if err := os.WriteFile(out, []byte("the last one"), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), lay(t, app), []string{"-o", out}, &stdout, &stderr); code != 1 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
				t.Errorf("it says %q and %q, want %q", stderr.String(), stdout.String(), c.want)
			}
			if kept, err := os.ReadFile(out); err != nil || string(kept) != "the last one" {
				t.Errorf("the last package is %q, %v", kept, err)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-help"}, 0},
		{[]string{"-unknown"}, 2},
		{[]string{"userrelay.zip"}, 2},
		{[]string{"-o", ""}, 2},
		{[]string{"-o", filepath.Join("no", "such", "folder", "userrelay.zip")}, 1},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), lay(t, smallApp()), c.args, &stdout, &stderr); code != c.code || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, want %d: %s", c.args, code, c.code, stderr.String())
		}
	}
}

func TestLicences(t *testing.T) {
	t.Parallel()
	const bsd = "Redistribution and use in source and binary forms, with or without\n modification, are permitted"
	for text, want := range map[string][]string{
		"MIT License\n\nPermission is hereby granted,\nfree of charge, to any person": {"MIT"},
		"      Apache License\n   Version 2.0, January 2004":                          {"Apache-2.0"},
		bsd + "\nNeither the name of Google Inc.":                                     {"BSD-3-Clause"},
		bsd: {"BSD-2-Clause"},
		bsd + "\nNeither the name\n Apache License Version 2.0": {"BSD-3-Clause", "Apache-2.0"},
		"all rights reserved": nil,
	} {
		if d := cmp.Diff(want, licencesIn(text)); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}
