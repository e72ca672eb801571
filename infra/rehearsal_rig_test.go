package infra_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"userrelay/test/azure"
	"userrelay/test/must"
)

func TestMain(m *testing.M) {
	if code, ran := azure.Run(os.Args, os.Environ(), os.Stdout, os.Stderr); ran { //nolint:forbidigo // a stand-in reads its own environment
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// sections returns the commands of a page by the heading above them.
func sections(t *testing.T, file string) map[string]string {
	t.Helper()
	all, heading, inside := map[string]string{}, "", false
	for line := range strings.Lines(read(t, file)) {
		switch {
		case !inside && strings.HasPrefix(line, "#"):
			heading = strings.Trim(line, "# \n")
		case line == "```sh\n":
			inside = true
		case line == "```\n":
			inside = false
		case inside:
			all[heading] += line
		}
	}
	return all
}

// rehearsal is a person with the project in front of them, and stand-ins of the tools.
type rehearsal struct {
	t       *testing.T
	project string // a copy
	tools   string // the folder with the stand-ins
	deploy  string // the program that the pages name
	environ []string
}

// outputs returns Terraform's outputs. The ids of the mocked cloud have short names.
func outputs(s state) map[string]jsontext.Value {
	values := map[string]jsontext.Value{}
	for name, output := range s.Outputs {
		values[name] = output.Value
	}
	w := azure.World{Outputs: values}
	group := w.Text("resource_group")
	whole := strings.NewReplacer("/resourceGroups/rg/", "/resourceGroups/"+group+"/", "/vaults/kv", "/vaults/kv-"+strings.TrimPrefix(group, "rg-"))
	for name, value := range values {
		values[name] = jsontext.Value(whole.Replace(string(value)))
	}
	return values
}

// rehearse lays the project and the stand-ins.
func rehearse(t *testing.T, deploy string, w azure.World) *rehearsal {
	t.Helper()
	r := &rehearsal{t: t, project: t.TempDir(), tools: t.TempDir(), deploy: deploy}
	r.environ = append(must.Get[[]string](t)(azure.Install(r.tools, w)), "PATH="+r.tools+":/usr/bin:/bin", "HOME="+r.project, "DEPLOY="+deploy)
	copyFiles(t, filepath.Join(r.project, "infra"), "*.tfvars.json", "../azure.yaml")          // which lands beside
	write(t, filepath.Join(r.project, "infra", "terraform.tfvars"), read(t, "example.tfvars")) // what the page has its reader do first
	const sh = "#!/bin/sh\nset -eu\n"
	// The tools whose work is not rehearsed. Deploy prints its commands, and they are run.
	write(t, filepath.Join(r.tools, "go"), sh+`case "$1 $2" in
"run ./tools/deploy") shift 2; "$DEPLOY" -n "$@" > deploy.sh; sh -eu deploy.sh;;
"run ./tools/package") [ "$3" = -o ] && [ $# = 4 ] && echo package > "$4";;
"build -trimpath") [ "$5 $6" = "bin/handler ./handler" ] && mkdir -p bin && echo handler > bin/handler;;
*) echo "go: what is $*?" >&2; exit 2;;
esac`)
	write(t, filepath.Join(r.tools, "curl"), sh+`for url; do :; done; case "$url" in https://*/api/Health) echo '{"status":"ok"}';; *) echo "curl: what is $*?" >&2; exit 2;; esac`)
	write(t, filepath.Join(r.tools, "handler"), sh+`case "$*" in -check|"-check -connect"|"-poison list"|"-poison resend") ;; *) echo "handler: what is $*?" >&2; exit 2;; esac`)
	return r
}

// run types commands, with what a page leaves to its reader filled in. The error has what was said.
func (r *rehearsal) run(ctx context.Context, commands string) error {
	w, _, err := azure.Read(r.tools)
	if err != nil {
		return err
	}
	commands = strings.NewReplacer(
		"OWNER/REPOSITORY", "octo/userrelay", "ACCOUNT", "st", "APP.azure", "func.azure", "bin/handler -", "handler -",
		"--vault-name kv ", "--vault-name kv-"+strings.TrimPrefix(w.Text("resource_group"), "rg-")+" ",
	).Replace(commands)
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	command.Dir, command.Env = r.project, r.environ
	command.Stdin = strings.NewReader("the secret\n")
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	failures, err := azure.Failures(r.tools)
	if err == nil && failures != "" && !strings.HasPrefix(commands, "! ") {
		err = fmt.Errorf("the shell went on after: %s", failures)
	}
	return err
}

// builtDeploy builds the program that the pages name.
func builtDeploy(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "deploy")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../tools/deploy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
