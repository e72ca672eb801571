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
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// folderVariable is the variable with the folder of the world.
const folderVariable = "AZURE_STANDIN"

func tools() []string { return []string{"az", "azd", "func", "gh", "terraform"} }

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
	if !slices.Contains(tools(), tool) {
		return 0, false
	}
	p := process{environ: environ, stdout: stdout, stderr: stderr}
	for _, v := range environ {
		if folder, ok := strings.CutPrefix(v, folderVariable+"="); ok {
			p.folder = folder
		}
	}
	err := p.run(tool, args[1:])
	var failed *failure
	switch {
	case errors.As(err, &failed):
		_, _ = fmt.Fprintln(stderr, failed.text)
		if err := appendTo(p.folder, failures, failed.text); err != nil { // in eval "$(…)" the shell does not see it
			_, _ = fmt.Fprintln(stderr, err)
		}
		return failed.code, true
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "%s: the stand-in itself failed: %v\n", tool, err)
		return 70, true
	}
	return 0, true
}

// failure is a failure of a tool: an exit code, and a text on stderr.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

// fail returns a failure.
func fail(format string, args ...any) error {
	return &failure{1, fmt.Sprintf(format, args...)}
}

func (p *process) run(tool string, args []string) error {
	w, err := load(p.folder)
	if err != nil {
		return err
	}
	p.world = w
	text, err := json.Marshal(Call{tool, args})
	if err := errors.Join(err, appendTo(p.folder, calls, string(text))); err != nil {
		return err
	}
	commands := map[string][]command{"az": azCommands(), "azd": azdCommands(), "func": funcCommands(), "gh": ghCommands()}[tool]
	if tool == "terraform" {
		err = p.terraform(args)
	} else {
		err = p.dispatch(tool, commands, args)
	}
	return errors.Join(err, p.world.save(p.folder)) // what was done before the failure is done
}

// command is a tool's command. Its flags are listed as in the tool's help: "name,n=!" has a short form, takes a value
// and is required. A star means arguments other than flags.
type command struct {
	name, flags string
	do          func(p *process, a arguments) error
}

// globals are the flags that all commands of a tool take. Sources: az, "Global Arguments" of its help; azd,
// cmd/testdata/TestUsage-*.snap of Azure/azure-dev; gh, its manual.
func globals(tool string) string {
	return map[string]string{
		"az":  " subscription= query= output,o= only-show-errors verbose debug",
		"azd": " cwd,C= debug no-prompt output,o=",
	}[tool]
}

// arguments are the arguments of a call.
type arguments struct {
	flags map[string]string
	rest  []string
}

// dispatch finds the command and calls it.
func (p *process) dispatch(tool string, commands []command, args []string) error {
	words := slices.IndexFunc(append(slices.Clone(args), "-"), func(arg string) bool { return strings.HasPrefix(arg, "-") })
	for n := words; n > 0; n-- {
		name := strings.Join(args[:n], " ")
		if at := slices.IndexFunc(commands, func(c command) bool { return c.name == name }); at >= 0 {
			given, err := commands[at].parse(tool, args[n:])
			if err != nil {
				return &failure{2, fmt.Sprintf("%s %s: %v", tool, name, err)}
			}
			return commands[at].do(p, given)
		}
	}
	return &failure{2, fmt.Sprintf("%s: '%s' is no command that this stand-in knows", tool, strings.Join(args[:words], " "))}
}

// parse reads the arguments that follow the command's name. An unknown flag is an error, and so is an empty value: in
// a document it comes from a variable that was not set, or from a missing output.
func (c command) parse(tool string, args []string) (arguments, error) {
	a := arguments{flags: map[string]string{}}
	set := flag.NewFlagSet(tool, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	var required []string
	specs := strings.Fields(c.flags + globals(tool))
	for _, spec := range specs {
		plain, must := strings.CutSuffix(spec, "!")
		if name := a.define(set, plain); must {
			required = append(required, name)
		}
	}
	joined := func(arg string) bool { return regexp.MustCompile(`^-[a-z]{2}`).MatchString(arg) }
	if tool != "terraform" && slices.ContainsFunc(args, joined) {
		return a, errors.New("a long flag begins with two hyphens")
	}
	for {
		if err := set.Parse(args); err != nil {
			return a, err
		}
		if args = set.Args(); len(args) == 0 {
			break
		}
		a.rest, args = append(a.rest, args[0]), args[1:]
	}
	if len(a.rest) > 0 && !slices.Contains(specs, "*") || slices.Contains(a.rest, "") {
		return a, fmt.Errorf("unrecognized arguments: %q", a.rest)
	}
	for _, name := range required {
		if a.flags[name] == "" {
			return a, fmt.Errorf("the following arguments are required: --%s", name)
		}
	}
	return a, nil
}

// define adds a flag, in its long and its short form, and returns its name. It keeps the flag's value.
func (a arguments) define(set *flag.FlagSet, spec string) string {
	spec, value := strings.CutSuffix(spec, "=")
	name, short, _ := strings.Cut(spec, ",")
	define := set.BoolFunc
	if value {
		define = set.Func
	}
	for _, form := range []string{name, short} {
		if form == "" {
			continue
		}
		define(form, "", func(text string) error {
			if strings.TrimSpace(text) == "" {
				return errors.New("the value is empty")
			}
			a.flags[name] = text
			return nil
		})
	}
	return name
}

// Install puts the stand-ins into a folder, as links to the running program, which must call Run first. It returns the
// environment that a process needs for them, besides PATH.
func Install(folder string, w World) (environ []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, tool := range tools() {
		if err := os.Symlink(self, filepath.Join(folder, tool)); err != nil {
			return nil, err
		}
	}
	// With the race detector a program would wait for a second before it ends.
	return []string{folderVariable + "=" + folder, "GORACE=atexit_sleep_ms=0"}, w.save(folder)
}
