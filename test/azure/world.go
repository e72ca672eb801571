package azure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The two subscriptions of the world.
const (
	Subscription = "00000000-0000-0000-0000-000000000000" // that Terraform is told
	Other        = "99999999-9999-9999-9999-999999999999" // where the user works as a rule
)

// World is the state of the stand-ins.
type World struct {
	Default  string  // the subscription that az takes where none is named
	LoggedIn bool    // az
	AzdLogin bool    // azd
	Version  string  // of az
	Grants   []Grant // of who is logged in

	// What Terraform makes.
	Outputs   map[string]jsontext.Value // its outputs after an apply, as the project's Terraform tests print them
	Made      bool                      // by an apply
	Breaks    bool                      // the next apply fails at the app and leaves it tainted
	States    map[string]State          // by the name of where each lies
	Vault     map[string]string         // secrets, by name
	Published []string                  // SHA-256 of packages, in order
	Assigned  map[string][]Grant        // roles given, by the object id of whom
	Subject   string                    // of the credential that GitHub logs in with
	Prefix    string                    // of the subjects that GitHub sends

	Environments map[string]map[string]string // of azd: their values
	Environment  string                       // the current one
}

// Grant is a role of the logged in user.
type Grant struct {
	Role, Scope string
}

// Call is a call that was made.
type Call struct {
	Tool string
	Args []string
}

// String is the call as it would be typed.
func (c Call) String() string { return c.Tool + " " + strings.Join(c.Args, " ") }

// The files in the folder of the world: its state, the calls, and the failures.
const (
	file     = "world.json"
	calls    = "calls.jsonl"
	failures = "failures.txt"
)

func load(folder string) (*World, error) {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return nil, err
	}
	w := &World{}
	return w, json.Unmarshal(text, w)
}

func (w *World) save(folder string) error {
	text, err := json.Marshal(w)
	return errors.Join(err, os.WriteFile(filepath.Join(folder, file), text, 0o600))
}

// Read returns the world after the calls, and the calls in order.
func Read(folder string) (World, []Call, error) {
	w, err := load(folder)
	if err != nil {
		return World{}, nil, err
	}
	text, err := os.ReadFile(filepath.Join(folder, calls))
	if err != nil && !os.IsNotExist(err) {
		return World{}, nil, err
	}
	var all []Call
	for line := range bytes.Lines(text) {
		var c Call
		if err := json.Unmarshal(line, &c); err != nil {
			return World{}, nil, err
		}
		all = append(all, c)
	}
	return *w, all, nil
}

func appendTo(folder, name, line string) error {
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// Failures returns the failures of stand-ins since the previous call.
func Failures(folder string) (string, error) {
	name := filepath.Join(folder, failures)
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), errors.Join(err, os.Remove(name))
}

// Text returns a string output of Terraform, or "".
func (w *World) Text(output string) (text string) {
	_ = json.Unmarshal(w.Outputs[output], &text)
	return text
}

// Group is the id of the resource group that Terraform makes.
func (w *World) Group() string {
	return "/subscriptions/" + Subscription + "/resourceGroups/" + w.Text("resource_group")
}

// App is the id of the app.
func (w *World) App() string {
	return w.Group() + "/providers/Microsoft.Web/sites/" + w.Text("function_app_name")
}

// Plan is the id of the app's plan.
func (w *World) Plan() string { return w.Group() + "/providers/Microsoft.Web/serverfarms/plan" }
