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

	"userrelay/test/must"
)

// smallApp is a small app like the project's, which tests can change.
func smallApp() map[string]string {
	return map[string]string{
		"go.mod":                 "module small\n\ngo 1.26\n",
		"handler/main.go":        "package main\n\nfunc main() {}\n",
		"host.json":              `{"customHandler":{"description":{"defaultExecutablePath":"bin/handler"}}}` + "\r\n",
		"One/function.json":      `{"bindings":[{"type":"httpTrigger"}]}` + "\r\n",
		"One/README.md":          "not for Azure",
		"docs/readme.md":         "not for Azure",
		"local.settings.json":    "{\"Values\":{\"KAFKA_SASL_PASSWORD\":\"not for Azure\"}}",
		"deep/Two/function.json": "{}",
	}
}

// lay writes files into a folder.
func lay(t *testing.T, root string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The user's settings and the system's line ends must not affect the package.
func TestPackageIsTheSameForEverybody(t *testing.T) {
	app := smallApp()
	first := pack(t, lay(t, t.TempDir(), app))

	for name, content := range app {
		app[name] = strings.ReplaceAll(content, "\r\n", "\n")
	}
	root := lay(t, t.TempDir(), app)
	if err := os.Chmod(filepath.Join(root, "host.json"), 0o400); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOOS": "windows", "GOARCH": "arm64", "GOAMD64": "v3", "CGO_ENABLED": "1", "GOFLAGS": "-race -tags=other", "TZ": "Asia/Kathmandu",
	} {
		t.Setenv(name, value)
	}
	if !bytes.Equal(first, pack(t, root)) {
		t.Error("the packages differ")
	}
	folder, modes := unpack(t, first)
	if len(modes) != 3 {
		t.Errorf("%v are packed", modes)
	}
	if d := cmp.Diff(app["host.json"], string(must.Get[[]byte](t)(os.ReadFile(filepath.Join(folder, "host.json"))))); d != "" {
		t.Error(d)
	}
}

// Untracked files mark the program as changed only if they can get into it.
func TestNewFilesDoNotShow(t *testing.T) {
	t.Parallel()
	app := smallApp()
	app["infra/main.tf"] = ""
	root := lay(t, t.TempDir(), app)
	for _, args := range []string{"init -q", "add .", "-c user.name=a -c user.email=a@example.com commit -q -m all"} {
		command := exec.CommandContext(t.Context(), "git", strings.Fields(args)...)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	committed := pack(t, root)
	for _, step := range []struct {
		files map[string]string
		shows bool
	}{
		{map[string]string{"dist/userrelay.zip": "new", "infra/.terraform.lock.hcl": "new", "infra/backend.tf": "new"}, false},
		{map[string]string{"handler/more.go": "package main\n\nfunc more() {}\n"}, true},
		{map[string]string{"infra/main.tf": "changed"}, true},
	} {
		if shows := !bytes.Equal(pack(t, lay(t, root, step.files)), committed); shows != step.shows {
			t.Errorf("%v: it shows: %v", step.files, shows)
		}
		_ = os.Remove(filepath.Join(root, "handler", "more.go"))
	}
}

func TestWhatCannotBePacked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, content string // spoilt; no content: it is not there
		args          string // besides -o
		code          int
		want          string
	}{
		"another folder":          {"host.json", "", "", 1, "run this in the project's folder"},
		"another handler":         {"host.json", `{"customHandler":{"description":{"defaultExecutablePath":"handler"}}}`, "", 1, `defaultExecutablePath is "handler"`},
		"host.json is no JSON":    {"host.json", `{"customHandler":`, "", 1, "read host.json"},
		"no functions":            {"One/function.json", "", "", 1, "no folder has a function.json"},
		"a function is no JSON":   {"One/function.json", `{"bindings":[}`, "", 1, "read One/function.json"},
		"a function has no parts": {"One/function.json", `{"bindings":[]}`, "", 1, "One/function.json has no bindings"},
		"the handler has a fault": {"handler/main.go", "package main\n\nfunc main() { none() }\n", "", 1, "undefined: none"},
		"no such folder":          {"", "", "-o no/such/folder/userrelay.zip", 1, "write no/such/folder/userrelay.zip"},
		"no name":                 {"", "", "-o=", 2, "see -help"},
		"an unknown flag":         {"", "", "-unknown", 2, "not defined: -unknown"},
		"an argument":             {"", "", "userrelay.zip", 2, "no arguments but flags"},
		"help":                    {"", "", "-help", 0, "-sbom"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := smallApp()
			delete(app, c.file)
			if c.content != "" {
				app[c.file] = c.content
			}
			folder := lay(t, t.TempDir(), map[string]string{"userrelay.zip": "the last one"})
			out := filepath.Join(folder, "userrelay.zip")
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), lay(t, t.TempDir(), app), append([]string{"-o", out}, strings.Fields(c.args)...), &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
				t.Errorf("exit code %d, want %d; it says %q and %q, want %q", code, c.code, stderr.String(), stdout.String(), c.want)
			}
			left := must.Get[[]os.DirEntry](t)(os.ReadDir(folder))
			if kept := must.Get[[]byte](t)(os.ReadFile(out)); string(kept) != "the last one" || len(left) != 1 {
				t.Errorf("the last package is %q, left behind: %v", kept, left)
			}
		})
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
