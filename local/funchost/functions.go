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

// authLevel is what a caller must show.
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
	Type      string   `json:"type"`
	Direction string   `json:"direction"`
	Name      string   `json:"name"`
	AuthLevel string   `json:"authLevel"`
	Route     string   `json:"route"`
	Methods   []string `json:"methods"`
}

func (b binding) isTrigger() bool { return hasSuffixFold(b.Type, "trigger") }
func (b binding) isInput() bool   { return b.Direction == "" || strings.EqualFold(b.Direction, "in") }

// readFunctions reads every */function.json in dir. Functions that the stand-in cannot run are named in ignored.
func readFunctions(dir, prefix string, env environment) (functions []function, ignored []string, err error) {
	fsys := os.DirFS(dir)
	files, err := fs.Glob(fsys, "*/function.json")
	if err != nil {
		return nil, nil, fmt.Errorf("look for functions: %w", err)
	}
	var mistakes []error
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", file, err)
		}
		fn, why, err := parseFunction(path.Dir(file), prefix, data)
		switch {
		case err != nil:
			mistakes = append(mistakes, fmt.Errorf("%s: %w", file, err))
		case why != "":
			ignored = append(ignored, fmt.Sprintf("Function '%s' is ignored: %s", path.Dir(file), why))
		default:
			fn.disabled = fn.disabled || env.isTrue("AzureWebJobs."+fn.name+".Disabled")
			functions = append(functions, fn)
		}
	}
	if err := errors.Join(append(mistakes, conflicts(functions))...); err != nil {
		return nil, nil, err
	}
	if len(functions) == 0 {
		return nil, nil, errors.New("no */function.json with an HTTP trigger, and the stand-in runs no other functions")
	}
	return functions, ignored, nil
}

// parseFunction reads one function.json. A valid one that the stand-in cannot run is explained in ignored.
func parseFunction(name, prefix string, data []byte) (fn function, ignored string, err error) {
	var file functionFile
	if err := json.Unmarshal(data, &file, json.MatchCaseInsensitiveNames(true)); err != nil {
		return function{}, "", err
	}
	if err := checkNames(name, file.Bindings); err != nil {
		return function{}, "", err
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
		return function{}, "", fmt.Errorf("want one trigger among the bindings, have %d", len(triggers))
	}
	trigger := triggers[0]
	if !strings.EqualFold(trigger.Type, "httpTrigger") {
		return function{}, "the stand-in has no " + trigger.Type, nil
	}
	// Other bindings make the real host use invocation mode, whatever host.json says.
	if inputs != 1 || httpOutputs != 1 || len(file.Bindings) != 2 {
		return function{}, "it has bindings beside one httpTrigger and one http output, and the stand-in has no invocation mode", nil
	}
	fn, err = httpFunction(name, prefix, trigger)
	fn.disabled = file.Disabled
	return fn, "", err
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
func conflicts(functions []function) error {
	for i, a := range functions {
		for _, b := range functions[:i] {
			if strings.EqualFold(a.name, b.name) {
				return fmt.Errorf("functions %s and %s differ only in case", b.name, a.name)
			}
			if strings.EqualFold(a.path, b.path) && (len(a.methods) == 0 || len(b.methods) == 0 ||
				slices.ContainsFunc(a.methods, b.allows)) {
				return fmt.Errorf("functions %s and %s share a route and a method", b.name, a.name)
			}
		}
	}
	return nil
}

func (f function) allows(method string) bool {
	return len(f.methods) == 0 || slices.Contains(f.methods, strings.ToUpper(method))
}

// match returns the function for a request, nil where there is none. It matches without regard to case
// and with or without a trailing slash. A method that no function has is no different from an unknown
// path: the real host answers 404, not 405.
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

// listing is the block that func prints at start, in which every function has its URL.
func listing(functions []function, base string) string {
	var b strings.Builder
	b.WriteString("\nFunctions:\n\n")
	for _, f := range functions {
		if f.disabled {
			fmt.Fprintf(&b, "Function %s is disabled.\n\n", f.name)
			continue
		}
		fmt.Fprintf(&b, "\t%s: ", f.name)
		if len(f.methods) > 0 {
			fmt.Fprintf(&b, "[%s] ", strings.Join(f.methods, ","))
		}
		b.WriteString(base + f.path + "\n\n")
	}
	return b.String()
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
