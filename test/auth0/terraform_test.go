package auth0

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"userrelay/test/skip"
)

const configuration = sources + "/terraform"

// attributes are the attributes and blocks of the resources of Terraform's provider auth0/auth0 1.55, according to its
// documentation, as far as they are used here. Those that would store a secret in the state are not included.
func attributes() map[string][]string {
	return map[string][]string{
		"auth0_action": {
			"name", "runtime", "deploy", "code", "supported_triggers.id", "supported_triggers.version",
			"secrets_wo.name", "secrets_wo.value", "secrets_wo_version",
		},
		"auth0_trigger_action": {"trigger", "action_id", "display_name"},
		"auth0_event_stream": {
			"name", "destination_type", "subscriptions", "status", "action_configuration.action_id", "webhook_configuration.webhook_endpoint",
			"webhook_configuration.webhook_authorization.method", "webhook_configuration.webhook_authorization.header_key",
			"webhook_configuration.webhook_authorization.header_value_wo", "webhook_configuration.webhook_authorization.header_value_wo_version",
		},
	}
}

// unknownAttributes returns the attributes in a configuration, formatted by Terraform, that the provider does not
// have.
func unknownAttributes(text string) (unknown []string) {
	var blocks []string
	resource := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, isAttribute := strings.Cut(line, " ")
		switch {
		case line == "}" && len(blocks) > 0:
			blocks = blocks[:len(blocks)-1]
		case line == "}":
			resource = ""
		case strings.HasPrefix(line, "resource "):
			resource = strings.Split(line, `"`)[1]
			if attributes()[resource] == nil {
				unknown = append(unknown, resource)
			}
		case resource == "" || !isAttribute || name == "count" || strings.HasPrefix(line, "#"):
		case value == "{":
			blocks = append(blocks, name)
		default:
			if path := strings.Join(append(slices.Clone(blocks), name), "."); !slices.Contains(attributes()[resource], path) {
				unknown = append(unknown, resource+"."+path)
			}
		}
	}
	return unknown
}

// TestTerraform shows that the configuration is formatted, uses existing attributes, stores no secret in the state,
// does not change other bindings, and deploys the Actions' code. The provider itself does not check it, because
// neither the provider nor its client of the Management API is available as a Go module here.
func TestTerraform(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("terraform")
	if err != nil {
		skip.For(t, "needs Terraform; see developer.hashicorp.com/terraform/install")
	}
	if done := execute(t, configuration, nil, program, "fmt", "-check", "-diff", "-recursive"); done.code != 0 {
		t.Errorf("not formatted:\n%s", done)
	}
	main := string(read(t, filepath.Join(configuration, "main.tf")))
	if unknown := unknownAttributes(main); len(unknown) > 0 {
		t.Errorf("the provider has no %q", unknown)
	}
	for _, file := range regexp.MustCompile(`file\("\$\{path\.module\}/([^"]+)"\)`).FindAllStringSubmatch(main, -1) {
		read(t, filepath.Join(configuration, file[1]))
	}
	variables := string(read(t, filepath.Join(configuration, "variables.tf")))
	if key := regexp.MustCompile(`(?s)variable "function_key" \{.*?\n\}`).FindString(variables); !strings.Contains(key, "ephemeral   = true") {
		t.Errorf("the key gets into plans: %s", key)
	}
	damaged := strings.NewReplacer("secrets_wo {", "secrets {", "header_value_wo  ", "header_value  ", `"auth0_trigger_action"`, `"auth0_triggers"`).Replace(main)
	want := []string{"auth0_action.secrets.name", "auth0_triggers", "auth0_event_stream.webhook_configuration.webhook_authorization.header_value"}
	for _, what := range want {
		if got := unknownAttributes(damaged); !slices.Contains(got, what) {
			t.Errorf("%s is not noticed: %q", what, got)
		}
	}
}
