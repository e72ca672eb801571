package azure

import (
	"fmt"
	"slices"
	"strings"
)

// command is a tool's command. Its flags are listed as in the tool's help: "name,n=!" has a short form, takes a value
// and is required. A star means arguments other than flags.
type command struct {
	name  string
	flags string
	do    func(p *process, a arguments) error
}

// globals are the flags that all commands of a tool take. Sources: az, "Global Arguments" of its help; azd,
// cmd/testdata/TestUsage-*.snap of Azure/azure-dev; core tools, PublishFunctionAppAction.cs; gh, its manual.
func globals(tool string) string {
	switch tool {
	case "az":
		return " subscription= query= output,o= only-show-errors verbose debug help,h"
	case "azd":
		return " cwd,C= debug docs help,h no-prompt environment,e= output,o="
	case "gh":
		return " help"
	}
	return ""
}

// arguments are the arguments of a call.
type arguments struct {
	flags map[string]string
	rest  []string
}

func (a arguments) has(name string) bool {
	_, ok := a.flags[name]
	return ok
}

// flag is a flag of a command.
type flag struct {
	name, short     string
	value, required bool
}

func flagsOf(spec string) (flags []flag, rest bool) {
	for word := range strings.FieldsSeq(spec) {
		if word == "*" {
			rest = true
			continue
		}
		name, required := strings.CutSuffix(word, "!")
		name, value := strings.CutSuffix(name, "=")
		name, short, _ := strings.Cut(name, ",")
		flags = append(flags, flag{name, short, value, required})
	}
	return flags, rest
}

// parse reads the arguments that follow the command's name. An unknown flag is an error, and so is an empty value: in
// a document it comes from a variable that was not set, or from a missing output.
func (c command) parse(tool string, args []string) (arguments, error) {
	flags, rest := flagsOf(c.flags + globals(tool))
	a := arguments{flags: map[string]string{}}
	wrong := func(format string, values ...any) error {
		return &Failure{Code: 2, Text: fmt.Sprintf("%s %s: ", tool, c.name) + fmt.Sprintf(format, values...)}
	}
	for i := 0; i < len(args); i++ {
		word := args[i]
		if !strings.HasPrefix(word, "-") || word == "-" {
			if !rest || word == "" {
				return a, wrong("unrecognized arguments: %q", word)
			}
			a.rest = append(a.rest, word)
			continue
		}
		name, value, joined := strings.Cut(word, "=")
		at := slices.IndexFunc(flags, func(f flag) bool { return f.is(name) })
		switch {
		case at < 0:
			return a, wrong("unrecognized arguments: %s", word)
		case flags[at].value && !joined:
			if i++; i == len(args) {
				return a, wrong("%s: expected one argument", word)
			}
			value = args[i]
		}
		if flags[at].value && strings.TrimSpace(value) == "" {
			return a, wrong("%s: the value is empty", name)
		}
		a.flags[flags[at].name] = value
	}
	if missing := a.missing(flags); missing != "" {
		return a, wrong("the following arguments are required: --%s", missing)
	}
	return a, nil
}

// missing returns a required flag that is missing.
func (a arguments) missing(flags []flag) string {
	for _, f := range flags {
		if f.required && !a.has(f.name) {
			return f.name
		}
	}
	return ""
}

// is says whether an argument is the flag.
func (f flag) is(name string) bool {
	return name == "--"+f.name || f.short != "" && name == "-"+f.short
}
