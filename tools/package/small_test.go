package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/must"
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
	all := fstest.MapFS{}
	for name, content := range files {
		all[name] = &fstest.MapFile{Data: []byte(content)}
	}
	if err := os.CopyFS(root, all); err != nil {
		t.Fatal(err)
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
	for name, value := range map[string]string{
		"GOOS": "windows", "GOARCH": "arm64", "GOAMD64": "v3", "CGO_ENABLED": "1", "GOFLAGS": "-race -tags=other", "TZ": "Asia/Kathmandu",
	} {
		t.Setenv(name, value)
	}
	second := pack(t, root)
	if !bytes.Equal(first, second) {
		t.Error("the packages differ")
	}
	folder, modes := unpack(t, second)
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
	root := lay(t, app)
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
		for name, content := range step.files {
			if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755), os.WriteFile(filepath.Join(root, name), []byte(content), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if shows := !bytes.Equal(pack(t, root), committed); shows != step.shows {
			t.Errorf("%v: it shows: %v", step.files, shows)
		}
		_ = os.Remove(filepath.Join(root, "handler", "more.go"))
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
			folder := lay(t, map[string]string{"userrelay.zip": "the last one"})
			out := filepath.Join(folder, "userrelay.zip")
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), lay(t, app), []string{"-o", out}, &stdout, &stderr)
			if code != 1 || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
				t.Errorf("exit code %d, it says %q and %q, want %q", code, stderr.String(), stdout.String(), c.want)
			}
			left := must.Get[[]os.DirEntry](t)(os.ReadDir(folder))
			if kept := must.Get[[]byte](t)(os.ReadFile(out)); string(kept) != "the last one" || len(left) != 1 {
				t.Errorf("the last package is %q, left behind: %v", kept, left)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"-help": 0, "-unknown": 2, "userrelay.zip": 2, "-o=": 2, "-o no/such/folder/userrelay.zip": 1} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), lay(t, smallApp()), strings.Fields(args), &stdout, &stderr); code != want || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, want %d: %s", args, code, want, stderr.String())
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
