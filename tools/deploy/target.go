package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
)

// app is the target of publishing.
type app struct{ subscription, group, name string }

func (a app) id() string {
	return "/subscriptions/" + a.subscription + "/resourceGroups/" + a.group + "/providers/Microsoft.Web/sites/" + a.name
}

func (a app) whole() bool { return a.subscription != "" && a.group != "" && a.name != "" }

// find returns the app, and the source of its name. It never takes a missing part from another source, because two
// sources may mean two apps.
func (p program) find(ctx context.Context, o options) (app, string, error) {
	if o.app != (app{}) {
		if !o.app.whole() {
			return app{}, "", errors.New("-subscription, -resource-group and -name go together")
		}
		return o.app, "by flags", nil
	}
	var set app
	for _, v := range p.environ {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "AZURE_SUBSCRIPTION_ID":
			set.subscription = value
		case "AZURE_RESOURCE_GROUP":
			set.group = value
		case "AZURE_FUNCTION_APP":
			set.name = value
		}
	}
	if set.whole() {
		return set, "by AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_FUNCTION_APP", nil
	}
	out, err := p.run(ctx, "terraform", "-chdir="+o.infra, "output", "-json")
	if err != nil {
		return app{}, "", fmt.Errorf("ask Terraform for the app: %w", err)
	}
	var outputs map[string]struct {
		Value any `json:"value"`
	}
	if err := json.Unmarshal([]byte(out), &outputs); err != nil {
		return app{}, "", fmt.Errorf("read what terraform output prints: %w", err)
	}
	text := func(name string) string {
		s, _ := outputs[name].Value.(string)
		return s
	}
	found := app{text("subscription_id"), text("resource_group"), text("function_app_name")}
	if !found.whole() {
		return app{}, "", fmt.Errorf("terraform output names no app: apply first (terraform -chdir=%[1]s apply), or, if azd has applied, publish with azd deploy", cmp.Or(o.infra, "."))
	}
	return found, "by terraform output", nil
}
