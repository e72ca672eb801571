package funchost

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// authLevel is the kind of key that a function requires.
type authLevel string

const (
	anonymous     authLevel = "anonymous"
	functionLevel authLevel = "function"
	admin         authLevel = "admin"
)

// function is one HTTP function of the app.
type function struct {
	name     string
	path     string   // with prefix, as written, with a leading and without a trailing slash
	methods  []string // in upper case; none: every method
	level    authLevel
	disabled bool
}

// functionFile is function.json.
type functionFile struct {
	Disabled bool      `json:"disabled"`
	Bindings []binding `json:"bindings"`
}

type binding struct {
	Type       string   `json:"type"`
	Direction  string   `json:"direction"`
	Name       string   `json:"name"`
	AuthLevel  string   `json:"authLevel"` // of an httpTrigger, as the next two
	Route      string   `json:"route"`
	Methods    []string `json:"methods"`
	QueueName  string   `json:"queueName"` // of a queueTrigger, as the next two
	Connection string   `json:"connection"`
	DataType   string   `json:"dataType"`
}

func (b binding) isTrigger() bool { return hasSuffixFold(b.Type, "trigger") }
func (b binding) isInput() bool   { return b.Direction == "" || strings.EqualFold(b.Direction, "in") }

// functions are the app's functions that the stand-in can run.
type functions struct {
	http    []function
	queue   []queueFunction
	ignored []string // why others are left out, a line each
}

// readFunctions reads every */function.json in dir.
func readFunctions(dir, prefix string, env environment) (functions, error) {
	fsys := os.DirFS(dir)
	files, err := fs.Glob(fsys, "*/function.json")
	if err != nil {
		return functions{}, fmt.Errorf("look for functions: %w", err)
	}
	var all functions
	var mistakes []error
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return functions{}, fmt.Errorf("read %s: %w", file, err)
		}
		if err := all.add(path.Dir(file), prefix, data, env); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", file, err))
		}
	}
	if err := errors.Join(append(mistakes, all.conflicts())...); err != nil {
		return functions{}, err
	}
	if len(all.http)+len(all.queue) == 0 {
		return functions{}, errors.New("no */function.json with an HTTP or a queue trigger, and the stand-in runs no other functions")
	}
	return all, nil
}

// add reads one function.json. A valid one that the stand-in cannot run is explained in ignored.
func (all *functions) add(name, prefix string, data []byte, env environment) error {
	var file functionFile
	if err := json.Unmarshal(data, &file, json.MatchCaseInsensitiveNames(true)); err != nil {
		return err //nolint:wrapcheck // the caller names the file
	}
	if err := checkNames(name, file.Bindings); err != nil {
		return err
	}
	var triggers []binding
	inputs, httpOutputs := 0, 0
	for _, b := range file.Bindings {
		if b.isTrigger() {
			triggers = append(triggers, b)
		}
		if b.isInput() {
			inputs++
		} else if strings.EqualFold(b.Type, "http") {
			httpOutputs++
		}
	}
	if len(triggers) != 1 {
		return fmt.Errorf("want one trigger among the bindings, have %d", len(triggers))
	}
	trigger := triggers[0]
	disabled := file.Disabled || env.disables(name)
	ignore := func(why string) {
		all.ignored = append(all.ignored, fmt.Sprintf("Function '%s' is ignored: %s", name, why))
	}
	switch {
	case strings.EqualFold(trigger.Type, "queueTrigger"):
		if len(file.Bindings) != 1 {
			ignore("it has bindings beside its queueTrigger, and the stand-in has none")
			return nil
		}
		fn, err := newQueueFunction(name, trigger, env)
		fn.disabled = disabled
		all.queue = append(all.queue, fn)
		return err
	case !strings.EqualFold(trigger.Type, "httpTrigger"):
		ignore("the stand-in has no " + trigger.Type)
		return nil
	// Other bindings make the real host use invocation mode, whatever host.json says.
	case inputs != 1 || httpOutputs != 1 || len(file.Bindings) != 2:
		ignore("it has bindings beside one httpTrigger and one http output, and the stand-in has no invocation mode for HTTP functions")
		return nil
	}
	fn, err := httpFunction(name, prefix, trigger)
	fn.disabled = disabled
	all.http = append(all.http, fn)
	return err
}

// disables says if a setting disables the function. The one with underscores is for systems whose variables cannot have
// dots; two underscores mean something else to the host.
func (e environment) disables(name string) bool {
	return e.isTrue("AzureWebJobs."+name+".Disabled") || e.isTrue("AzureWebJobs_"+name+"_Disabled")
}

// checkNames applies the host's rules for the names of functions and bindings.
func checkNames(name string, bindings []binding) error {
	if !regexp.MustCompile(`(?i)^[a-z][a-z0-9_-]{0,127}$`).MatchString(name) || strings.EqualFold(name, "host") {
		return errors.New("the folder's name is not a function's name: a letter, then at most 127 letters, digits, _ and -; not \"host\"")
	}
	valid := regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9]{0,127}|\$return)$`)
	for _, b := range bindings {
		if b.Type == "" {
			return fmt.Errorf("binding %q has no type", b.Name)
		}
		if !valid.MatchString(b.Name) {
			return fmt.Errorf("binding name %q is not letters and digits only", b.Name)
		}
	}
	return nil
}

func httpFunction(name, prefix string, trigger binding) (function, error) {
	fn := function{name: name, level: authLevel(strings.ToLower(trigger.AuthLevel))}
	switch fn.level {
	case "":
		fn.level = functionLevel
	case anonymous, functionLevel, admin:
	default:
		return function{}, fmt.Errorf("authLevel %q is not one of anonymous, function, admin", trigger.AuthLevel)
	}
	route := strings.Trim(trigger.Route, "/")
	if route == "" {
		route = name
	}
	if strings.ContainsAny(route, "{}") {
		return function{}, fmt.Errorf("route %q has a parameter, which the stand-in does not support", trigger.Route)
	}
	fn.path = "/" + route
	if prefix != "" {
		fn.path = "/" + prefix + fn.path
	}
	for _, method := range trigger.Methods {
		fn.methods = append(fn.methods, strings.ToUpper(method))
	}
	return fn, nil
}

// conflicts reports functions that would answer the same request.
func (all *functions) conflicts() error {
	names := map[string]string{}
	for _, name := range all.names() {
		if other, ok := names[strings.ToLower(name)]; ok {
			return fmt.Errorf("functions %s and %s differ only in case", other, name)
		}
		names[strings.ToLower(name)] = name
	}
	for i, a := range all.http {
		for _, b := range all.http[:i] {
			if strings.EqualFold(a.path, b.path) && (len(a.methods) == 0 || len(b.methods) == 0 ||
				slices.ContainsFunc(a.methods, b.allows)) {
				return fmt.Errorf("functions %s and %s share a route and a method", b.name, a.name)
			}
		}
	}
	return nil
}

func (all *functions) names() []string {
	var names []string
	for _, f := range all.http {
		names = append(names, f.name)
	}
	for _, f := range all.queue {
		names = append(names, f.name)
	}
	return names
}

func (f function) allows(method string) bool {
	return len(f.methods) == 0 || slices.Contains(f.methods, strings.ToUpper(method))
}

// match returns the function for a request, or nil. It matches without regard to case and with or without a trailing
// slash. A method that no function has is like an unknown path: the real host answers 404, not 405.
func match(functions []function, method string, u *url.URL) *function {
	if strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return nil // an encoded slash stays encoded when the host matches
	}
	for i := range functions {
		f := &functions[i]
		if strings.EqualFold(strings.TrimSuffix(u.Path, "/"), f.path) && f.allows(method) && !f.disabled {
			return f
		}
	}
	return nil
}

// listing is the block that func prints at start: HTTP functions with their URLs, then the others with their triggers.
func (all *functions) listing(base string) string {
	var b strings.Builder
	b.WriteString("\nFunctions:\n\n")
	entry := func(name string, disabled bool, what string) {
		if disabled {
			fmt.Fprintf(&b, "Function %s is disabled.\n\n", name)
			return
		}
		fmt.Fprintf(&b, "\t%s: %s\n\n", name, what)
	}
	for _, f := range all.http {
		methods := ""
		if len(f.methods) > 0 {
			methods = "[" + strings.Join(f.methods, ",") + "] "
		}
		entry(f.name, f.disabled, methods+base+f.path)
	}
	for _, f := range all.queue {
		entry(f.name, f.disabled, "queueTrigger")
	}
	return b.String()
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
