package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// variables are the environment of a process. Their names are compared as the Functions host does: case does not
// matter, and ":" equals "__". An exact match comes before the others.
type variables struct {
	exact  map[string]string
	folded map[string][]string // the names as they are spelt, in order
}

func variablesOf(environ []string) variables {
	v := variables{exact: make(map[string]string, len(environ)), folded: make(map[string][]string, len(environ))}
	for _, setting := range environ {
		name, value, _ := strings.Cut(setting, "=")
		if _, twice := v.exact[name]; !twice {
			v.folded[fold(name)] = append(v.folded[fold(name)], name)
		}
		v.exact[name] = value
	}
	for _, names := range v.folded {
		slices.Sort(names)
	}
	return v
}

func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "__", ":")) }

// get returns the value of a variable, or "".
func (v variables) get(name string) string {
	if value, ok := v.exact[name]; ok {
		return value
	}
	if names := v.folded[fold(name)]; len(names) > 0 {
		return v.exact[names[0]]
	}
	return ""
}

// spellings returns the names in the environment that mean this setting, if their values differ.
func (v variables) spellings(name string) []string {
	names := v.folded[fold(name)]
	for _, n := range names {
		if v.exact[n] != v.exact[names[0]] {
			return names
		}
	}
	return nil
}

// unread returns the names in the environment that begin with a prefix, in any case, and were not read.
func (e *environment) unread(prefix string) []string {
	var unread []string
	for folded, names := range e.vars.folded {
		if strings.HasPrefix(folded, fold(prefix)) && !e.asked[folded] {
			unread = append(unread, names...)
		}
	}
	slices.Sort(unread)
	return unread
}

// configError lists what is wrong with the settings, one line for each. It names settings and rules, never values.
type configError []string

func (e configError) Error() string { return e.count() + " wrong: " + strings.Join(e, "; ") }

func (e configError) count() string {
	if len(e) == 1 {
		return "1 setting is"
	}
	return fmt.Sprintf("%d settings are", len(e))
}

// environment reads settings. It collects mistakes, and warnings about what looks like a mistake but does not prevent
// a start.
type environment struct {
	vars     variables
	asked    map[string]bool // folded names of the settings that were read
	failed   map[string]bool // names of those that are wrong
	wrong    configError
	warnings []string
}

func newEnvironment(vars variables) *environment {
	return &environment{vars: vars, asked: map[string]bool{}, failed: map[string]bool{}}
}

// fail notes a mistake. Only the first one of a setting counts, because others may follow from it.
func (e *environment) fail(name, rule string) {
	if !e.failed[name] {
		e.failed[name], e.wrong = true, append(e.wrong, name+": "+rule)
	}
}

func (e *environment) warn(name, text string) { e.warnings = append(e.warnings, name+": "+text) }

// raw returns a setting unchanged. A reference that the platform should have replaced by its value is a mistake.
func (e *environment) raw(name string) string {
	value := e.vars.get(name)
	if !e.asked[fold(name)] {
		e.asked[fold(name)] = true
		if same := e.vars.spellings(name); same != nil {
			e.warn(name, "is set more than once, as "+strings.Join(same, " and ")+", with different values: keep one")
		}
	}
	if text := unresolved(value); text != "" {
		e.fail(name, text)
		return ""
	}
	return value
}

// text returns a setting without the white space around it, which is never part of a value. Quotes around it are a
// mistake: a shell or a file needs them, but the Functions host reads them as a part of the value.
func (e *environment) text(name string) string {
	value := strings.TrimSpace(e.raw(name))
	if quoted(value) {
		e.fail(name, "is in quotes, which are read as part of the value: remove them")
		return ""
	}
	return value
}

func quoted(value string) bool {
	return len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]
}

// unresolved says what to do about a value that is still a reference. App Service leaves it in place if it cannot
// resolve it (Microsoft Learn, "Use Key Vault references as app settings", troubleshooting).
func unresolved(value string) string {
	value = strings.ToLower(strings.TrimSpace(strings.Trim(strings.TrimSpace(value), `"'`)))
	const check = "; in the portal, Environment variables shows why"
	switch {
	case strings.HasPrefix(value, "@microsoft.keyvault("):
		return "is a Key Vault reference that was not resolved: check the secret's name, that the app's identity has the role Key Vault Secrets User, and the vault's network rules" + check
	case strings.HasPrefix(value, "@microsoft.appconfiguration("):
		return "is an App Configuration reference that was not resolved: check the key, and that the app's identity has the role App Configuration Data Reader" + check
	default:
		return ""
	}
}

// oneOf returns a setting that must be one of the words, the first of which is the default. Case does not matter.
func (e *environment) oneOf(name string, words ...string) string {
	value := e.text(name)
	if value == "" {
		return words[0]
	}
	for _, w := range words {
		if strings.EqualFold(value, w) {
			return w
		}
	}
	e.fail(name, "must be one of "+strings.Join(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" }), ", "))
	return words[0]
}

func (e *environment) duration(name string, byDefault, least, most time.Duration) time.Duration {
	value := e.text(name)
	if value == "" {
		return byDefault
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		e.fail(name, fmt.Sprintf("must be a duration such as %v, at least %v and at most %v", byDefault, least, most))
		return byDefault
	}
	return d
}
