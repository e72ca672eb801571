package azure

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The two subscriptions of the world.
const (
	Subscription = "00000000-0000-0000-0000-000000000000" // that Terraform is told
	Other        = "99999999-9999-9999-9999-999999999999" // where the user works as a rule
)

// World is the state of the stand-ins. Once it was saved none of its maps is nil.
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

	Calls    []string // of stand-ins, as they would be typed without quotes
	Failures []string // of stand-ins; in eval "$(…)" the shell does not see them
}

// Grant is a role of the logged in user.
type Grant struct {
	Role, Scope string
}

// file has the world, in its folder.
const file = "world.json"

// Read returns the world after the calls of stand-ins.
func Read(folder string) (w World, err error) {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal(text, &w)
}

func (w *World) save(folder string) error {
	text, err := json.Marshal(w)
	return errors.Join(err, os.WriteFile(filepath.Join(folder, file), text, 0o600))
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
