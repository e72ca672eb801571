package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// runner runs a program and returns its output.
type runner func(ctx context.Context, name string, args ...string) (stdout string, err error)

// commandError is a program's failure.
type commandError struct {
	name string
	text string // its last line
	err  error
}

func (e *commandError) Error() string {
	if e.text == "" {
		return e.name + ": " + e.err.Error()
	}
	return e.name + ": " + e.text
}

func (e *commandError) Unwrap() error { return e.err }

// command runs real programs. They cannot prompt the user: a prompt fails.
func command(ctx context.Context, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // G204: the three programs of this package, and arguments, no shell
	c.WaitDelay = 5 * time.Second                // children of az may keep its output open
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return "", &commandError{name, strings.TrimSpace(lines[len(lines)-1]), errors.Join(err, ctx.Err())}
	}
	return stdout.String(), nil
}

// The commands of az. All name the subscription, because az's default may be another one.
func azVersion() []string { return []string{"version", "--output", "json"} }

func (a app) azAccount() []string {
	return []string{"account", "show", "--subscription", a.subscription, "--output", "json"}
}

func (a app) azShow() []string {
	return []string{"functionapp", "show", "--subscription", a.subscription, "--resource-group", a.group, "--name", a.name, "--output", "json"}
}

const permissionsPath = "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"

// azPermissions lists the permissions of the logged in user on a resource, from direct roles and from groups.
func (a app) azPermissions(resource string) []string {
	return []string{"rest", "--method", "get", "--url", resource + permissionsPath, "--output", "json"}
}

func (a app) azPublish(source string) []string {
	return []string{
		"functionapp", "deployment", "source", "config-zip", "--subscription", a.subscription, "--resource-group", a.group,
		"--name", a.name, "--src", source, "--only-show-errors",
	}
}

func (a app) azKeys() []string {
	return []string{
		"functionapp", "function", "keys", "list", "--subscription", a.subscription, "--resource-group", a.group,
		"--name", a.name, "--function-name", "Version", "--output", "json",
	}
}

// oldest is the oldest Azure CLI that can publish to Flex Consumption (Azure/azure-cli#28812, #28899).
const oldest = "2.61.0"

// checkAzure checks that az is installed, new enough, and logged in to the subscription.
func (p program) checkAzure(ctx context.Context, t app) error {
	out, err := p.run(ctx, "az", azVersion()...)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("az is missing: learn.microsoft.com/cli/azure/install-azure-cli")
	case err != nil:
		return fmt.Errorf("ask az for its version: %w", err)
	}
	var version struct {
		CLI string `json:"azure-cli"`
	}
	if err := json.Unmarshal([]byte(out), &version); err != nil || older(version.CLI, oldest) {
		return fmt.Errorf("az is too old: it says %q, and must be %s at least (az upgrade)", version.CLI, oldest)
	}
	if _, err := p.run(ctx, "az", t.azAccount()...); err != nil {
		return fmt.Errorf("az knows no subscription %s: az login, with --tenant if it is another's (%w)", t.subscription, err)
	}
	p.say("az %s is logged in to it", version.CLI)
	return nil
}

// older compares versions by their numbers.
func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range b {
		if i == len(a) {
			return true
		}
		n, err := strconv.Atoi(a[i])
		if m, _ := strconv.Atoi(b[i]); err != nil || n != m {
			return err != nil || n < m
		}
	}
	return false
}

// site is az's description of the app. Some versions of az flatten the properties.
type site struct {
	Host       string `json:"defaultHostName"`
	Plan       string `json:"serverFarmId"`
	Properties struct {
		Host string `json:"defaultHostName"`
		Plan string `json:"serverFarmId"`
	} `json:"properties"`
}

func (s site) host() string {
	if s.Host != "" {
		return s.Host
	}
	return s.Properties.Host
}

func (s site) plan() string {
	if s.Plan != "" {
		return s.Plan
	}
	return s.Properties.Plan
}

// allowed waits until the logged in user may publish.
func (p program) allowed(ctx context.Context, t app, limit time.Time) (s site, err error) {
	err = p.again(ctx, limit, func() error {
		out, err := p.run(ctx, "az", t.azShow()...)
		if err != nil {
			return fmt.Errorf("look at the app: %w", err)
		}
		if err := json.Unmarshal([]byte(out), &s); err != nil || s.host() == "" || s.plan() == "" {
			return errors.New("look at the app: az shows neither its host nor its plan")
		}
		if err := p.may(ctx, t, t.id(), "Microsoft.Web/sites/read", "Microsoft.Web/sites/publish/action",
			"Microsoft.Web/sites/host/listkeys/action", "Microsoft.Web/sites/functions/listkeys/action"); err != nil {
			return err
		}
		return p.may(ctx, t, s.plan(), "Microsoft.Web/serverfarms/read")
	})
	return s, err
}

// may returns the actions that the logged in user may not do on a resource.
func (p program) may(ctx context.Context, t app, resource string, actions ...string) error {
	out, err := p.run(ctx, "az", t.azPermissions(resource)...)
	if err != nil {
		return fmt.Errorf("ask for permissions: %w", err)
	}
	var permissions struct {
		Value []struct {
			Actions    []string `json:"actions"`
			NotActions []string `json:"notActions"`
		} `json:"value"`
	}
	if err := json.Unmarshal([]byte(out), &permissions); err != nil {
		return fmt.Errorf("read the permissions: %w", err)
	}
	for _, action := range actions {
		found := false
		for _, v := range permissions.Value {
			found = found || covers(v.Actions, action) && !covers(v.NotActions, action)
		}
		if !found {
			return fmt.Errorf("no right to %s on %s: assign Website Contributor on the resource group, because on the app alone it lacks the plan", action, path.Base(resource))
		}
	}
	return nil
}

// covers says whether one of the patterns, with * for any text, matches the action.
func covers(patterns []string, action string) bool {
	flat := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "|") }
	for _, pattern := range patterns {
		if ok, err := path.Match(flat(pattern), flat(action)); err == nil && ok {
			return true
		}
	}
	return false
}
