package azure

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	Denied    bool                      // the app's access restrictions shut this machine out
	Breaks    int                       // number of applies that fail at the app and leave it tainted
	Remote    map[string]Remote         // states that lie in Azure, by their key
	Vault     map[string]string         // secrets, by name
	Published []string                  // SHA-256 of packages, in order
	Assigned  map[string][]Grant        // roles given, by the object id of whom
	Subject   string                    // of the credential that GitHub logs in with
	Prefix    string                    // of the subjects that GitHub sends

	Script []Answer // what calls are answered, whatever else is known
}

// Grant is a role of the logged in user.
type Grant struct {
	Role, Scope string
}

// Answer is a scripted answer to the first call that begins with Call. Each entry is used once.
type Answer struct {
	Call           string // "az functionapp show"
	Code           int
	Stdout, Stderr string
}

// Call is a call that was made.
type Call struct {
	Tool string
	Args []string
}

// String is the call as it would be typed.
func (c Call) String() string { return c.Tool + " " + strings.Join(c.Args, " ") }

func load(folder string) (*World, error) {
	text, err := os.ReadFile(filepath.Join(folder, "world.json"))
	if err != nil {
		return nil, fmt.Errorf("no world: %w", err)
	}
	w := &World{}
	if err := json.Unmarshal(text, w); err != nil {
		return nil, fmt.Errorf("read the world: %w", err)
	}
	return w, nil
}

func (w *World) save(folder string) error {
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("write the world: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "world.json"), text, 0o600); err != nil {
		return fmt.Errorf("write the world: %w", err)
	}
	return nil
}

// Read returns the world after the calls, and the calls in order.
func Read(folder string) (World, []Call, error) {
	w, err := load(folder)
	if err != nil {
		return World{}, nil, err
	}
	text, err := os.ReadFile(filepath.Join(folder, "calls.jsonl"))
	if err != nil && !os.IsNotExist(err) {
		return World{}, nil, fmt.Errorf("read the calls: %w", err)
	}
	var calls []Call
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var c Call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return World{}, nil, fmt.Errorf("read the calls: %w", err)
		}
		calls = append(calls, c)
	}
	return *w, calls, nil
}

func record(folder, tool string, args []string) (err error) {
	text, err := json.Marshal(Call{tool, args})
	if err != nil {
		return fmt.Errorf("record the call: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, "calls.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("record the call: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// note records a failure, because in eval "$(…)" the shell does not see it.
func note(folder, text string) error {
	f, err := os.OpenFile(filepath.Join(folder, "failures.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("note the failure: %w", err)
	}
	_, err = fmt.Fprintln(f, text)
	return errors.Join(err, f.Close())
}

// Failures returns the failures of stand-ins since the previous call.
func Failures(folder string) (string, error) {
	name := filepath.Join(folder, "failures.txt")
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), errors.Join(err, os.Remove(name))
}

// scripted returns the scripted answer to a call.
func (w *World) scripted(tool string, args []string) (Answer, bool) {
	call := tool + " " + strings.Join(args, " ")
	at := slices.IndexFunc(w.Script, func(a Answer) bool { return call == a.Call || strings.HasPrefix(call, a.Call+" ") })
	if at < 0 {
		return Answer{}, false
	}
	answer := w.Script[at]
	w.Script = slices.Delete(w.Script, at, at+1)
	return answer, true
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
