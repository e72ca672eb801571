package infra_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"userrelay/infra/internal/kql"
)

// mistake is one that somebody may make, and a part of what must be said about it.
type mistake struct{ file, right, wrong, want string }

// round are mistakes that are made together, because each can be told from the others by what is said, and the files of
// tests that find them; none: all.
type round struct {
	tests    []string
	mistakes []mistake
}

func rounds() map[string]round {
	// After a run that cannot be evaluated, or that misses a failure, Terraform skips the other runs of its file.
	const app, inputs = "function_app.tf", "tests/inputs.tftest.hcl"
	return map[string]round{
		"refused in a plan": {[]string{eventHubsTests}, []mistake{
			{"kafka.tf", `namespace_id    = azurerm_eventhub_namespace.this[0].id`, `namespace_id    = azurerm_eventhub_namespace.this[0].name`, "namespace_id"},
			{"monitoring.tf", `every = "PT5M", window = "PT15M", then = "| where failed >= 5"`, `every = "PT7M", window = "PT15M", then = ""`, "PT7M"},
		}},
		"refused for a queue's name": {[]string{eventHubsTests}, []mistake{
			{"storage.tf", `"userrelay-outbox", `, `"user-relay-outbox", `, "userrelay-outbox"},
		}},
		"found by tests": {nil, []mistake{
			{app, `AzureWebJobsStorage__accountName = azurerm_storage_account.this.name`, `AzureWebJobsStorage = azurerm_storage_account.this.primary_connection_string`, "the app's settings: these and no others"},
			{app, `httpConcurrency        = { value = var.http_concurrency }`, ``, "the template gets every parameter that it has"},
			{"storage.tf", `shared_access_key_enabled        = false`, `shared_access_key_enabled        = true`, "storage: keys must be off"},
			{"storage.tf", `container_access_type = "private"`, `container_access_type = "blob"`, "storage: nothing may be public"},
			{"variables.tf", `default     = "ZRS"`, `default     = "LRS"`, "the outbox must outlive a data centre"},
			{"main.tf", `local_authentication_enabled = false # the connection string opens nothing`, ``, "local_authentication_enabled"},
			{"main.tf", `sampling_percentage          = 100`, `sampling_percentage          = 50`, "telemetry: all of it"},
			{"kafka.tf", `"Standard"`, `"Basic"`, "a tier that speaks Kafka"},
			{"roles.tf", `2b629674-e913-4c01-ae53-ef4638d8f975`, `a638d3c7-ab3a-418d-83e6-5f17a39d4fde`, "roles and scopes"},
			{"monitoring.tf", `action_groups = [azurerm_monitor_action_group.this.id]`, `action_groups = []`, "and reach people"},
			{"monitoring.tf", `expected_status_code        = 200`, `expected_status_code        = 0`, "only an answer counts"},
			{"monitoring.tf", `failed >= 2 and failed * 2 > answers`, `failed >= 50`, "one registration an hour"},
			{"monitoring.tf", `What to do: docs/runbook.md#${each.value.todo}. `, ``, "told where to look"},
			{"monitoring.tf", `    poisoned = {`, `    poison = {`, `"detail":"alerts"`},
			{"outputs.tf", `keys list --subscription ${var.subscription_id} `, `keys list `, "commands name the subscription"},

			{"keyvault.tf", `purge_protection_enabled   = true`, `purge_protection_enabled   = false`, "protected from purging"},
			{"keyvault.tf", `KAFKA_SASL_PASSWORD = "kafka-sasl-password"`, `KAFKA_SASL_PASSWORD = "kafka-password"`, "the password is a reference"},
			{"roles.tf", `4633458b-17de-408a-b874-0445c86b69e6`, `b86a8fe4-44ce-4948-aee5-eccb2c155cd7`, "one role more, on the vault"},
			{"outputs.tf", `secret set --subscription ${var.subscription_id} `, `secret set `, "how to put the password in"},
			{"outputs.tf", `Key Vault Secrets Officer`, `Key Vault Contributor`, "who may put it in"},

			{app, `var.rolling_update ? "RollingUpdate" : "Recreate"`, `"Recreate"`, "an update in batches"},
			{app, `coalesce(var.drain_trigger, var.always_ready == 0) ? {} :`, `false ? {} :`, "woken by the trigger"},
			{"main.tf", `${var.environment == "" ? "" : "/${var.environment}"}`, ``, "the first one's names"},
			{"kafka.tf", `ignore_changes = [capacity]`, `ignore_changes = [tags]`, "leaves the number of throughput units alone"},

			{app, `local.private ? azurerm_subnet.app[0].id : ""`, `""`, "the app is in the network"},
			{"kafka.tf", `public_network_access_enabled = !local.private`, `public_network_access_enabled = true`, "neither storage nor Event Hubs"},
			{"keyvault.tf", `public_network_access_enabled = !local.private`, `public_network_access_enabled = true`, "the vault has no public address"},
			{"network.tf", `"Microsoft.App/environments"`, `"Microsoft.Web/serverFarms"`, "takes this delegation only"},
			{"network.tf", `queue = { resource`, `queues = { resource`, "one endpoint for each service"},
			{"network.tf", `privatelink.vaultcore.azure.net`, `privatelink.vault.azure.net`, "the vault's zone"},
			{"network.tf", `subnet_id           = azurerm_subnet.endpoints[0].id`, `subnet_id           = azurerm_subnet.app[0].id`, "in their own subnet"},
			{"network.tf", `cidrsubnet(var.network_cidr, 2, 2)`, `cidrsubnet(var.network_cidr, 2, 0)`, "the subnets do not overlap"},
		}},
		"mistakes_1 of inputs": {[]string{inputs}, []mistake{
			{"variables.tf", `{2,11}`, `{2,15}`, "object, var.name,"},
			{"variables.tf", `<= 24, false)`, `<= 28, false)`, "object, var.network_cidr,"},
			{"variables.tf", `length(distinct(var.web_test_locations)) >= 2`, `length(distinct(var.web_test_locations)) >= 1`, "object, var.web_test_locations,"},
			{"variables.tf", `contains(["public", "private"], var.network)`, `contains(["public", "private"], lower(var.network))`, "object, var.network,"},
		}},
		"mistakes_2 of inputs": {[]string{inputs}, []mistake{
			{"variables.tf", `endswith(ip, "/0")`, `endswith(ip, "/00")`, "object, var.allowed_ips,"},
			{"variables.tf", `KAFKA_(BROKERS|TOPIC|SASL|`, `KAFKA_(BROKERS|TOPIC|`, "object, var.settings,"},
		}},
		"mistakes_3 of inputs": {[]string{inputs}, []mistake{
			{"variables.tf", `var.maximum_instances >= var.always_ready`, `var.maximum_instances >= 0`, "object, var.maximum_instances,"},
		}},
		"mistakes_4 of inputs": {[]string{inputs}, []mistake{
			{"variables.tf", `!var.rolling_update || var.always_ready >= 2`, `!var.rolling_update || var.always_ready >= 0`, "object, var.rolling_update,"},
			{"variables.tf", `var.drain_trigger != false || var.always_ready > 0`, `var.drain_trigger != false || var.always_ready >= 0`, "object, var.drain_trigger,"},
		}},
		"of the web test": {[]string{"tests/options.tftest.hcl"}, []mistake{
			{app, `tag = "ServiceTag"`, `tag = "Default"`, "the web test is let in beside"},
		}},
		"of azd": {[]string{"tests/options.tftest.hcl"}, []mistake{
			{"main.tf", `"azd-env-name" = var.environment`, `"azd-env" = var.environment`, "azd-env-name"},
		}},
		"found in the state": {[]string{eventHubsTests}, []mistake{
			{"outputs.tf", `value = azurerm_resource_group.this.name`, `value = nonsensitive(azurerm_storage_account.this.primary_access_key)`, "output resource_group has a secret"},
			{app, `tags                = local.tags`, `tags                = merge(local.tags, { key = azurerm_log_analytics_workspace.this.primary_shared_key })`, "function_app.tags has a secret"},
			{"monitoring.tf", `| where failures >= 5`, `| where failure >= 5`, "'failure'"},
			{"monitoring.tf", `unseen >= 2`, `unsen >= 2`, "'unsen'"},
			{"workbook.tf", `local.queries[part.query]`, `"traces | take 10 // ${part.query}"`, "workbook/poisoned is not queries/poisoned.kql"},
			{"workbook.tf", `{ query = "sampled", title = "Telemetry that was sampled (there should be none)", show = "table", time = 1 },`, ``, "use queries/sampled.kql"},
		}},
	}
}

// findMistakes makes realistic mistakes in copies, and looks what finds them: a check that finds nothing is worth nothing.
func findMistakes(t *testing.T, tf terraform, checker kql.Checker) {
	t.Helper()
	for name, r := range rounds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			copyFiles(t, folder, "*.tf", "templates/*.json", "queries/*.kql", "tests/*.hcl", "tests/mocks/*.hcl")
			for _, m := range r.mistakes {
				path := filepath.Join(folder, m.file)
				text := read(t, path)
				spoilt := strings.Replace(text, m.right, m.wrong, 1)
				if spoilt == text {
					t.Errorf("%s has no %q", m.file, m.right)
				}
				write(t, path, spoilt)
			}
			result := tf.test(t, folder, r.tests...)
			found := result.failed
			if s, ok := result.states[eventHubsTests]; ok && name == "found in the state" {
				secrets, _ := s.secrets()
				found = slices.Concat(found, secrets, checkQueries(t, checker, folder, s))
			}
			for _, m := range r.mistakes {
				if !strings.Contains(strings.Join(found, "\n"), m.want) {
					t.Errorf("%s with %q: nothing says %q", m.file, m.wrong, m.want)
				}
			}
			if t.Failed() {
				t.Logf("found: %q", found)
			}
		})
	}
}
