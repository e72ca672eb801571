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
)

// folderVariable is the variable with the folder of the world.
const folderVariable = "AZURE_STANDIN"

// tools returns the stand-ins' commands, by the names of the programs.
func tools() map[string][]command {
	return map[string][]command{"az": azCommands(), "azd": azdCommands(), "func": funcCommands(), "gh": ghCommands(), "terraform": terraformCommands()}
}

// process is a call of a stand-in.
type process struct {
	world   World
	folder  string // of the world
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

// Run acts as a stand-in and returns true if the program was started under the name of one. Otherwise it does nothing.
func Run(args, environ []string, stdout, stderr io.Writer) (code int, ran bool) {
	tool := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	commands, ran := tools()[tool]
	if !ran {
		return 0, false
	}
	p := process{environ: environ, stdout: stdout, stderr: stderr}
	for _, v := range environ {
		if folder, ok := strings.CutPrefix(v, folderVariable+"="); ok {
			p.folder = folder
		}
	}
	return p.run(tool, commands, args[1:]), true
}

// run returns the exit code. What was done before a failure stays done.
func (p *process) run(tool string, commands []command, args []string) (code int) {
	p.load()
	p.world.Calls = append(p.world.Calls, strings.Join(append([]string{tool}, args...), " "))
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			code = f.code
			p.world.Failures = append(p.world.Failures, f.text)
			_, _ = fmt.Fprintln(p.stderr, f.text)
		default:
			panic(f)
		}
		p.save()
	}()
	p.dispatch(tool, commands, args)
	return 0
}

func (p *process) load() {
	w, err := Read(p.folder)
	check(err)
	p.world = w
}

func (p *process) save() { check(p.world.save(p.folder)) }

// failure is how a tool ends if it fails: an exit code, and a text on stderr.
type failure struct {
	code int
	text string
}

// fail ends the tool at once, as the real ones end; run recovers it.
func fail(format string, args ...any) { panic(failure{1, fmt.Sprintf(format, args...)}) }

// check ends the program if the stand-in itself has failed.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// command is a tool's command. Its flags are listed as in the tool's help: "name,n=!" has a short form, takes a value
// and is required. A star means arguments other than flags.
type command struct {
	name, flags string
	do          func(p *process, a arguments)
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
	root  string // what Terraform's -chdir says, which precedes the command
}

// dispatch finds the command and calls it.
func (p *process) dispatch(tool string, commands []command, args []string) {
	root := "."
	if len(args) > 0 && tool == "terraform" {
		if dir, ok := strings.CutPrefix(args[0], "-chdir="); ok {
			root, args = dir, args[1:]
		}
	}
	words := slices.IndexFunc(append(slices.Clone(args), "-"), func(arg string) bool { return strings.HasPrefix(arg, "-") })
	for n := words; n > 0; n-- {
		name := strings.Join(args[:n], " ")
		if at := slices.IndexFunc(commands, func(c command) bool { return c.name == name }); at >= 0 {
			a := arguments{flags: map[string]string{}, root: root}
			if err := a.parse(commands[at].flags+globals(tool), args[n:], tool != "terraform"); err != nil {
				panic(failure{2, fmt.Sprintf("%s %s: %v", tool, name, err)})
			}
			commands[at].do(p, a)
			return
		}
	}
	panic(failure{2, fmt.Sprintf("%s: '%s' is no command that this stand-in knows", tool, strings.Join(args[:words], " "))})
}

// parse reads the arguments that follow the command's name. An unknown flag is an error, and so is an empty value: in
// a document it comes from a variable that was not set, or from a missing output.
func (a *arguments) parse(flags string, args []string, twoHyphens bool) error {
	if twoHyphens && slices.ContainsFunc(args, regexp.MustCompile(`^-[a-z]{2}`).MatchString) {
		return errors.New("a long flag begins with two hyphens")
	}
	specs := strings.Fields(flags)
	set, required := a.define(specs)
	for {
		if err := set.Parse(args); err != nil {
			return err
		}
		if args = set.Args(); len(args) == 0 {
			break
		}
		a.rest, args = append(a.rest, args[0]), args[1:]
	}
	if len(a.rest) > 0 && !slices.Contains(specs, "*") || slices.Contains(a.rest, "") {
		return fmt.Errorf("unrecognized arguments: %q", a.rest)
	}
	for _, name := range required {
		if a.flags[name] == "" {
			return fmt.Errorf("the following arguments are required: --%s", name)
		}
	}
	return nil
}

// define returns the flags, which keep their values in a, and the names of those that are required.
func (a *arguments) define(specs []string) (set *flag.FlagSet, required []string) {
	set = flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, spec := range specs {
		plain, must := strings.CutSuffix(spec, "!")
		plain, value := strings.CutSuffix(plain, "=")
		names, define := strings.Split(plain, ","), set.BoolFunc
		if value {
			define = set.Func
		}
		for _, name := range names {
			define(name, "", func(text string) error {
				if strings.TrimSpace(text) == "" {
					return errors.New("the value is empty")
				}
				a.flags[names[0]] = text
				return nil
			})
		}
		if must {
			required = append(required, names[0])
		}
	}
	return set, required
}

// Install puts the stand-ins into a folder, as links to the running program, which must call Run first. It returns the
// environment that a process needs for them, besides PATH.
func Install(folder string, w World) (environ []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for tool := range tools() {
		if err := os.Symlink(self, filepath.Join(folder, tool)); err != nil {
			return nil, err
		}
	}
	// With the race detector a program would wait for a second before it ends.
	return []string{folderVariable + "=" + folder, "GORACE=atexit_sleep_ms=0"}, w.save(folder)
}
