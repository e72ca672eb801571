// Package azure has stand-ins for the deployment programs: az, azd, terraform, func and gh. They accept the commands
// and flags that the project's documents use, like the real ones, and refuse all others. They simulate a small world:
// one tenant with two subscriptions, the logged in user with roles, Terraform's resources and the location of its
// state.
//
// Their purpose is to detect commands that cannot work: commands that they accept may still fail in Azure.
//
// The test's own program implements all of them: its TestMain calls Run, which acts if the program was started under
// one of their names.
package azure

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// folderVariable is the variable with the folder of the world.
const folderVariable = "AZURE_STANDIN"

// Tools returns the names of the stand-ins.
func Tools() []string { return []string{"az", "azd", "func", "gh", "terraform"} }

// process is a call of a stand-in.
type process struct {
	world   *World
	folder  string // of the world
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

// Run acts as a stand-in and returns true if the program was started under the name of one. Otherwise it does nothing.
func Run(args, environ []string, stdout, stderr io.Writer) (code int, ran bool) {
	tool := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	if !slices.Contains(Tools(), tool) {
		return 0, false
	}
	p := process{environ: environ, stdout: stdout, stderr: stderr}
	p.folder = p.variable(folderVariable)
	err := p.run(tool, args[1:])
	var failed *Failure
	switch {
	case errors.As(err, &failed):
		_, _ = fmt.Fprintln(stderr, failed.Text)
		if err := note(p.folder, failed.Text); err != nil {
			_, _ = fmt.Fprintln(stderr, err)
		}
		return failed.Code, true
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "%s: the stand-in itself failed: %v\n", tool, err)
		return 70, true
	}
	return 0, true
}

// Failure is a failure of a tool: an exit code, and a text on stderr.
type Failure struct {
	Code int
	Text string
}

func (f *Failure) Error() string { return f.Text }

// fail returns a failure.
func fail(format string, args ...any) error {
	return &Failure{Code: 1, Text: fmt.Sprintf(format, args...)}
}

func (p *process) run(tool string, args []string) error {
	w, err := load(p.folder)
	if err != nil {
		return err
	}
	p.world = w
	if err := record(p.folder, tool, args); err != nil {
		return err
	}
	if answer, ok := w.scripted(tool, args); ok {
		_, _ = io.WriteString(p.stdout, answer.Stdout)
		if answer.Code != 0 {
			return errors.Join(&Failure{Code: answer.Code, Text: answer.Stderr}, w.save(p.folder))
		}
		return w.save(p.folder)
	}
	commands := map[string][]command{"az": azCommands(), "azd": azdCommands(), "terraform": nil, "func": funcCommands(), "gh": ghCommands()}[tool]
	if tool == "terraform" {
		err = p.terraform(args)
	} else {
		err = p.dispatch(tool, commands, args)
	}
	return errors.Join(err, w.save(p.folder)) // what was done before the failure is done
}

// dispatch finds the command and calls it.
func (p *process) dispatch(tool string, commands []command, args []string) error {
	words := 0
	for words < len(args) && !strings.HasPrefix(args[words], "-") {
		words++
	}
	for n := words; n > 0; n-- {
		name := strings.Join(args[:n], " ")
		for _, c := range commands {
			if c.name != name {
				continue
			}
			given, err := c.parse(tool, args[n:])
			if err != nil {
				return err
			}
			return c.do(p, given)
		}
	}
	return &Failure{Code: 2, Text: fmt.Sprintf("%s: '%s' is no command that this stand-in knows", tool, strings.Join(args[:words], " "))}
}

// variable returns a variable of the environment, "" where it is not set.
func (p *process) variable(name string) string {
	value := ""
	for _, v := range p.environ {
		if after, ok := strings.CutPrefix(v, name+"="); ok {
			value = after
		}
	}
	return value
}

// Install puts the stand-ins into a folder, as links to the running program, which must call Run first. It returns the
// environment that a process needs for them, besides PATH.
func Install(folder string, w World) (environ []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	for _, tool := range Tools() {
		if err := os.Symlink(self, filepath.Join(folder, tool)); err != nil {
			return nil, fmt.Errorf("lay a stand-in: %w", err)
		}
	}
	return []string{folderVariable + "=" + folder}, w.save(folder)
}
