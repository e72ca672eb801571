package azure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// theApp is the resource that a failed first apply leaves tainted.
const theApp = "azurerm_resource_group_template_deployment.function_app"

// state is the state after an apply, in a file or in Azure.
type state struct {
	Outputs map[string]jsontext.Value `json:"outputs"`
	Tainted []string                  `json:"tainted"`
}

// Remote is a state in Azure.
type Remote state

// terraform acts as Terraform. Its flags have one minus, and -chdir precedes the command.
func (p *process) terraform(args []string) error {
	root := "."
	if len(args) > 0 {
		if dir, ok := strings.CutPrefix(args[0], "-chdir="); ok {
			root, args = dir, args[1:]
		}
	}
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") {
			args[i] = "-" + arg
		}
	}
	const state = " state= state-out= lock-timeout= no-color input="
	at := func(do func(p *process, root string, a arguments) error) func(*process, arguments) error {
		return func(p *process, a arguments) error { return do(p, root, a) }
	}
	return p.dispatch("terraform", []command{
		{"init", "upgrade input= backend-config= reconfigure migrate-state no-color backend=", at((*process).tfInit)},
		{"plan", "out= var-file= var= destroy" + state, at((*process).tfPlan)},
		{"apply", "auto-approve var-file= var= destroy *" + state, at((*process).tfApply)},
		{"destroy", "auto-approve var-file= var=" + state, at((*process).tfDestroy)},
		{"output", "raw json no-color state= *", at((*process).tfOutput)},
		{"untaint", "allow-missing state= *", at((*process).tfUntaint)},
		{"validate", "no-color json", at((*process).tfInit)},
		{"workspace new", "state= *", func(*process, arguments) error { return nil }},
		{"workspace select", "or-create *", func(*process, arguments) error { return nil }},
		{"providers lock", "platform= *", func(*process, arguments) error { return nil }},
	}, args)
}

// backend says whether the configuration keeps its state in Azure.
func backend(root string) bool {
	files, _ := filepath.Glob(filepath.Join(root, "*.tf"))
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), `backend "azurerm"`) {
			return true
		}
	}
	return false
}

func (p *process) tfInit(root string, a arguments) error {
	if backend(root) && p.variable("TF_DATA_DIR") != "" && !a.has("backend-config") {
		return fail("Error: the backend has no configuration")
	}
	return nil
}

// where returns the file with the state.
func (p *process) where(root string, a arguments) string {
	if file := a.flags["state"]; file != "" {
		if filepath.IsAbs(file) {
			return file
		}
		return filepath.Join(root, file)
	}
	return filepath.Join(root, "terraform.tfstate")
}

func (p *process) readState(root string, a arguments) (s state) {
	if backend(root) && !a.has("state") {
		return state(p.world.Remote["state"])
	}
	if text, err := os.ReadFile(p.where(root, a)); err == nil {
		_ = json.Unmarshal(text, &s)
	}
	return s
}

func (p *process) writeState(root string, a arguments, s state) error {
	if backend(root) && !a.has("state") {
		p.world.Remote = map[string]Remote{"state": Remote(s)}
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	file := p.where(root, a)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

// variables fails if a required variable of the configuration is missing.
func (p *process) variables(root string, a arguments) error {
	files := []string{filepath.Join(root, "terraform.tfvars")}
	if file := a.flags["var-file"]; file != "" {
		files = append(files, file)
	}
	var all strings.Builder
	all.WriteString(a.flags["var"])
	for _, file := range files {
		text, _ := os.ReadFile(file)
		all.Write(append([]byte{'\n'}, text...))
	}
	for _, name := range []string{"subscription_id", "location"} {
		if !regexp.MustCompile(name + `"?\s*[:=]\s*"[^"]+"`).MatchString(all.String()) {
			return fail("Error: No value for required variable %s", name)
		}
	}
	return nil
}

func (p *process) tfPlan(root string, a arguments) error {
	if !p.world.LoggedIn {
		return fail("Error: could not configure AzureCli Authorizer: Please run 'az login' to setup account")
	}
	if err := p.variables(root, a); err != nil {
		return err
	}
	if out := a.flags["out"]; out != "" {
		return os.WriteFile(out, nil, 0o600) //nolint:wrapcheck // who calls knows
	}
	return nil
}

func (p *process) tfApply(root string, a arguments) error {
	s := p.readState(root, a)
	if len(a.rest) == 0 {
		if err := p.tfPlan(root, a); err != nil {
			return err
		}
	}
	for _, action := range []string{"Microsoft.Resources/subscriptions/resourceGroups/write", "Microsoft.Authorization/roleAssignments/write"} {
		if err := p.world.may(action, "/subscriptions/"+Subscription, false); err != nil {
			return err
		}
	}
	if slices.Contains(s.Tainted, theApp) {
		return fail("Error: deleting %s: the app could not be deleted", theApp)
	}
	if p.world.Breaks > 0 {
		p.world.Breaks--
		s.Tainted = append(s.Tainted, theApp)
		return errors.Join(fail("Error: creating %s: DeploymentFailed", theApp), p.writeState(root, a, s))
	}
	s.Outputs = p.world.Outputs
	p.world.Made = true
	return p.writeState(root, a, s)
}

func (p *process) tfDestroy(root string, a arguments) error {
	if err := p.tfPlan(root, a); err != nil {
		return err
	}
	if len(p.readState(root, a).Outputs) == 0 {
		return fail("the stand-in stops here: there is nothing to destroy in this state")
	}
	p.world.Made = false
	return p.writeState(root, a, state{})
}

func (p *process) tfOutput(root string, a arguments) error {
	s := p.readState(root, a)
	if len(a.rest) == 0 {
		type output struct {
			Value jsontext.Value `json:"value"`
			Type  any            `json:"type"`
		}
		all := map[string]output{}
		for name, value := range s.Outputs {
			all[name] = output{value, map[jsontext.Kind]any{jsontext.KindBeginArray: []string{"list", "string"}, jsontext.KindBeginObject: []string{"map", "string"}}[value.Kind()]}
			if value.Kind() == jsontext.KindString {
				all[name] = output{value, "string"}
			}
		}
		text, err := json.Marshal(all)
		_, _ = fmt.Fprintf(p.stdout, "%s\n", text)
		return err //nolint:wrapcheck // there is none: what was read is written
	}
	value, ok := s.Outputs[a.rest[0]]
	if !ok {
		return fail("Error: Output %q not found", a.rest[0])
	}
	if a.has("raw") {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return fail("Error: Unsupported value for raw output")
		}
		_, _ = fmt.Fprint(p.stdout, text)
		return nil
	}
	_, _ = fmt.Fprintf(p.stdout, "%s\n", value)
	return nil
}

func (p *process) tfUntaint(root string, a arguments) error {
	s := p.readState(root, a)
	for _, address := range a.rest {
		at := slices.Index(s.Tainted, address)
		if at < 0 {
			return fail("Error: Invalid target address: no tainted %s in the state", address)
		}
		s.Tainted = slices.Delete(s.Tainted, at, at+1)
	}
	return p.writeState(root, a, s)
}
