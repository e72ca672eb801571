package auth0

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/test/skip"
)

// attributes returns the attributes, with the blocks that they are in, that a configuration in Terraform's own format
// sets for each type of resource.
func attributes(configuration string) map[string][]string {
	set := map[string][]string{}
	for _, resource := range regexp.MustCompile(`(?ms)^resource "(\w+)".*?^}`).FindAllStringSubmatch(configuration, -1) {
		var path []string
		for _, line := range regexp.MustCompile(`(?m)^((?:  )+)(\w+) +([={])`).FindAllStringSubmatch(resource[0], -1) {
			path = append(path[:len(line[1])/2-1], line[2])
			if name := strings.Join(path, "."); line[3] == "=" && name != "count" && !slices.Contains(set[resource[1]], name) {
				set[resource[1]] = append(set[resource[1]], name)
			}
		}
	}
	return set
}

// TestTerraform shows that the configuration is formatted, deploys the Actions' code, and sets only attributes that
// resources of Terraform's provider auth0/auth0 1.55 have according to its documentation: none that stores a secret in
// the state, and no resource that changes other bindings. The provider itself does not check it, because neither the
// provider nor its client of the Management API is available as a Go module here.
func TestTerraform(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("terraform")
	if err != nil {
		skip.For(t, "needs Terraform; see developer.hashicorp.com/terraform/install")
	}
	configuration := filepath.Join(sources, "terraform")
	if done := execute(t, configuration, nil, program, "fmt", "-check", "-diff", "-recursive"); done.code != 0 {
		t.Errorf("not formatted:\n%s", done)
	}
	main := string(read(t, filepath.Join(configuration, "main.tf")))
	want := map[string][]string{
		"auth0_action": {
			"name", "runtime", "deploy", "code", "supported_triggers.id", "supported_triggers.version",
			"secrets_wo.name", "secrets_wo.value", "secrets_wo_version",
		},
		"auth0_trigger_action": {"trigger", "action_id"},
		"auth0_event_stream": {
			"name", "destination_type", "subscriptions", "action_configuration.action_id", "webhook_configuration.webhook_endpoint",
			"webhook_configuration.webhook_authorization.method", "webhook_configuration.webhook_authorization.header_key",
			"webhook_configuration.webhook_authorization.header_value_wo", "webhook_configuration.webhook_authorization.header_value_wo_version",
		},
	}
	if diff := cmp.Diff(want, attributes(main)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	for _, file := range regexp.MustCompile(`file\("\$\{path\.module\}/([^"]+)"\)`).FindAllStringSubmatch(main, -1) {
		read(t, filepath.Join(configuration, file[1]))
	}
	variables := string(read(t, filepath.Join(configuration, "variables.tf")))
	if key := regexp.MustCompile(`(?s)variable "function_key" \{.*?\n\}`).FindString(variables); !strings.Contains(key, "ephemeral   = true") {
		t.Errorf("the key gets into plans: %s", key)
	}
}
