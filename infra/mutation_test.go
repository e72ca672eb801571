package infra_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"userrelay/infra/internal/kql"
)

// Gates are the checks that a mistake runs into, in order. The later ones are tests of a file.
const (
	byTemplate = "template"
	byValidate = "validate"
	byEvents   = eventHubsTests
	byForeign  = "tests/foreign_kafka.tftest.hcl"
	byInputs   = "tests/inputs.tftest.hcl"
	byOptions  = "tests/options.tftest.hcl"
	byPrivate  = "tests/private.tftest.hcl"
	byQueries  = "queries"
	bySecrets  = "secrets"
)

// mistake is one that somebody may make, and the gate that must find it.
type mistake struct {
	name, file, right, wrong, gate string
}

func mistakes() []mistake {
	const functionApp, site = "function_app.tf", templateFile
	return []mistake{
		// The app.
		{"the runtime of the native worker", site, `"name": "custom"`, `"name": "go"`, byTemplate},
		{"a version that starts nothing", site, `"version": "1.0"`, `"version": "1.0.0"`, byTemplate},
		{"a misspelt member", site, `"perInstanceConcurrency"`, `"perInstanceConcurency"`, byTemplate},
		{"an identity that it does not have", site, `"keyVaultReferenceIdentity": "[parameters('identityId')]"`, `"keyVaultReferenceIdentity": "SystemAssigned"`, byTemplate},
		{"HTTP without TLS", site, `"httpsOnly": true`, `"httpsOnly": false`, byTemplate},
		{"passwords for publishing", site, `"properties": { "allow": false }`, `"properties": { "allow": true }`, byTemplate},
		{"an old TLS", site, `"scmMinTlsVersion": "1.2"`, `"scmMinTlsVersion": "1.0"`, byTemplate},
		{"a list of addresses that forbids nobody", site, `'Allow', 'Deny'`, `'Allow', 'Allow'`, byTemplate},
		{"a package that is read with a key", site, `"type": "UserAssignedIdentity"`, `"type": "StorageAccountConnectionString"`, byTemplate},
		{"a parameter that nobody declares", site, `parameters('planId')`, `parameters('plan')`, byTemplate},
		{"an API that is not there", site, `"apiVersion": "2024-11-01"`, `"apiVersion": "2024-11-31"`, byTemplate},
		{"a connection string for storage", functionApp, `AzureWebJobsStorage__accountName = azurerm_storage_account.this.name`, `AzureWebJobsStorage = azurerm_storage_account.this.primary_connection_string`, byEvents},
		{"no client id for storage", functionApp, `AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.app.client_id`, ``, byEvents},
		{"the principal for the client", functionApp, `AZURE_CLIENT_ID = azurerm_user_assigned_identity.app.client_id`, `AZURE_CLIENT_ID = azurerm_user_assigned_identity.app.principal_id`, byEvents},
		{"the platform's limit of requests", functionApp, `httpConcurrency        = { value = var.http_concurrency }`, ``, byEvents},
		{"settings that must not be on this plan", functionApp, `KAFKA_TOPIC = var.topic`, "KAFKA_TOPIC = var.topic\nFUNCTIONS_WORKER_RUNTIME = \"custom\"", byEvents},
		{"another plan", functionApp, `"FC1"`, `"FC2"`, byValidate},

		// What it stands on.
		{"keys for storage", "storage.tf", `shared_access_key_enabled        = false`, `shared_access_key_enabled        = true`, byEvents},
		{"a public container", "storage.tf", `container_access_type = "private"`, `container_access_type = "blob"`, byEvents},
		{"a queue that nobody drains", "storage.tf", `"userrelay-outbox", `, `"user-relay-outbox", `, byEvents},
		{"storage in one data centre by default", "variables.tf", `default     = "ZRS"`, `default     = "LRS"`, byEvents},
		{"keys for telemetry", "main.tf", `local_authentication_enabled = false # the connection string opens nothing`, ``, byEvents},
		{"sampling", "main.tf", `sampling_percentage          = 100`, `sampling_percentage          = 50`, byEvents},
		{"an unknown attribute", "main.tf", `sampling_percentage`, `sampling_percent`, byValidate},
		{"a tier without Kafka", "kafka.tf", `"Standard"`, `"Basic"`, byEvents},
		{"keys for Event Hubs", "kafka.tf", `local_authentication_enabled = false`, `local_authentication_enabled = true`, byEvents},
		{"a name where an id belongs", "kafka.tf", `namespace_id    = azurerm_eventhub_namespace.this[0].id`, `namespace_id    = azurerm_eventhub_namespace.this[0].name`, byEvents},
		{"a resource that is not there", "kafka.tf", `azurerm_eventhub_namespace.this[0].name}`, `azurerm_eventhub_namespace.that[0].name}`, byValidate},
		{"a login unencrypted", "kafka.tf", `KAFKA_SASL_MECHANISM = "OAUTHBEARER"`, `KAFKA_SASL_MECHANISM = "PLAIN"`, byEvents},
		{"a vault that can be purged", "keyvault.tf", `purge_protection_enabled   = true`, `purge_protection_enabled   = false`, byForeign},
		{"a reference to no secret", "keyvault.tf", `KAFKA_SASL_PASSWORD = "kafka-sasl-password"`, `KAFKA_SASL_PASSWORD = "kafka-password"`, byForeign},

		// Roles.
		{"the receiver's role for the sender's", "roles.tf", `2b629674-e913-4c01-ae53-ef4638d8f975`, `a638d3c7-ab3a-418d-83e6-5f17a39d4fde`, byEvents},
		{"a role on all of the namespace", "roles.tf", `azurerm_eventhub.topic[0].id`, `azurerm_eventhub_namespace.this[0].id`, byEvents},
		{"a role on the resource group", "roles.tf", `scope = azurerm_application_insights.this.id`, `scope = azurerm_resource_group.this.id`, byEvents},
		{"a role too many", "roles.tf", `# Monitoring Metrics Publisher`, "all = { scope = azurerm_resource_group.this.id, role = \"b24988ac-6180-42a0-ab88-20f7382dd24c\" }", byEvents},
		{"the vault's officer", "roles.tf", `4633458b-17de-408a-b874-0445c86b69e6`, `b86a8fe4-44ce-4948-aee5-eccb2c155cd7`, byForeign},

		// Monitoring.
		{"an alert that reaches nobody", "monitoring.tf", `action_groups = [azurerm_monitor_action_group.this.id]`, `action_groups = []`, byEvents},
		{"an alert less", "monitoring.tf", `    poisoned = {`, `    poison = {`, byEvents},
		{"a frequency that is not offered", "monitoring.tf", `every = "PT5M", window = "PT15M", then = "| where failed >= 5"`, `every = "PT7M", window = "PT15M", then = ""`, byEvents},
		{"a column that is not there", "monitoring.tf", `| where failures >= 5`, `| where failure >= 5`, byQueries},
		{"a query of the workbook's own", "workbook.tf", `local.queries[part.query]`, `"traces | take 10 // ${part.query}"`, byQueries},
		{"a query that nobody looks at", "workbook.tf", `{ query = "sampled", title = "Telemetry that was sampled (there should be none)", show = "table", time = 1 },`, ``, byQueries},

		// Secrets and inputs.
		{"a key in an output", "outputs.tf", `value = azurerm_resource_group.this.name`, `value = nonsensitive(azurerm_storage_account.this.primary_access_key)`, bySecrets},
		{"a key in a tag", "function_app.tf", `tags                = local.tags`, `tags                = merge(local.tags, { key = azurerm_log_analytics_workspace.this.primary_shared_key })`, bySecrets},
		{"names that are too long", "variables.tf", `{2,11}`, `{2,15}`, byInputs},
		{"everybody's addresses", "variables.tf", `endswith(ip, "/0")`, `endswith(ip, "/00")`, byInputs},
		{"passwords in settings", "variables.tf", `KAFKA_(BROKERS|TOPIC|SASL|`, `KAFKA_(BROKERS|TOPIC|`, byInputs},
	}
}

// newerMistakes are those of networks, updates, subscriptions and what watches the app from outside.
func newerMistakes() []mistake {
	const functionApp, site = "function_app.tf", templateFile
	return []mistake{
		{"an update strategy that Azure does not have", site, `"[parameters('updateStrategy')]"`, `"Rolling"`, byTemplate},
		{"an update strategy that nobody offers", site, `["Recreate", "RollingUpdate"]`, `["Recreate", "Rolling"]`, byTemplate},
		{"a misspelt subnet", site, `"virtualNetworkSubnetId"`, `"vnetSubnetId"`, byTemplate},
		{"memory that is not offered", site, `[512, 2048, 4096]`, `[1024, 2048, 4096]`, byTemplate},
		{"no instance at all", site, `"maximumInstanceCount": { "type": "int", "minValue": 1`, `"maximumInstanceCount": { "type": "int", "minValue": 0`, byTemplate},
		{"an app that nobody reaches", site, `"publicNetworkAccess": "Enabled"`, `"publicNetworkAccess": "Nonsense"`, byTemplate},
		{"an app for Windows", site, `"functionapp,linux"`, `"functionapp"`, byTemplate},
		{"TLS in storage's spelling", site, `"minTlsVersion": "1.2"`, `"minTlsVersion": "TLS1_2"`, byTemplate},
		{"FTP", site, `"ftpsState": "Disabled"`, `"ftpsState": "AllAllowed"`, byTemplate},
		{"settings that nobody gets", site, `"properties": "[parameters('appSettings')]"`, `"properties": {}`, byTemplate},
		{"the web test shut out", functionApp, `tag = "ServiceTag"`, `tag = "Default"`, byOptions},
		{"an update of all at once", functionApp, `var.rolling_update ? "RollingUpdate" : "Recreate"`, `"Recreate"`, byOptions},
		{"a trigger that is billed for waiting", functionApp, `coalesce(var.drain_trigger, var.always_ready == 0) ? {} :`, `true ? {} :`, byEvents},
		{"an app that nobody wakes", functionApp, `coalesce(var.drain_trigger, var.always_ready == 0) ? {} :`, `false ? {} :`, byOptions},
		{"an app outside of its network", functionApp, `local.private ? azurerm_subnet.app[0].id : ""`, `""`, byPrivate},

		// Networks.
		{"Event Hubs on the Internet", "kafka.tf", `public_network_access_enabled = !local.private`, `public_network_access_enabled = true`, byPrivate},
		{"storage on the Internet", "storage.tf", `public_network_access_enabled    = !local.private`, `public_network_access_enabled    = true`, byPrivate},
		{"a vault on the Internet", "keyvault.tf", `public_network_access_enabled = !local.private`, `public_network_access_enabled = true`, byPrivate},
		{"a misspelt delegation", "network.tf", `"Microsoft.App/environments"`, `"Microsoft.App/environment"`, byValidate},
		{"another plan's delegation", "network.tf", `"Microsoft.App/environments"`, `"Microsoft.Web/serverFarms"`, byPrivate},
		{"a misspelt private link", "network.tf", `queue = { resource`, `queues = { resource`, byPrivate},
		{"another service's names", "network.tf", `privatelink.vaultcore.azure.net`, `privatelink.vault.azure.net`, byPrivate},
		{"endpoints in the app's subnet", "network.tf", `subnet_id           = azurerm_subnet.endpoints[0].id`, `subnet_id           = azurerm_subnet.app[0].id`, byPrivate},
		{"subnets that overlap", "network.tf", `cidrsubnet(var.network_cidr, 2, 2)`, `cidrsubnet(var.network_cidr, 2, 0)`, byPrivate},
		{"a subnet's name that Flex refuses", "network.tf", `name                 = "app"`, `name                 = "app_instances"`, byPrivate},
		{"a private link to the app's network", "network.tf", `private_connection_resource_id = each.value.resource`, `private_connection_resource_id = azurerm_virtual_network.this[0].id`, byPrivate},

		// Environments and subscriptions.
		{"environments that share their names", "main.tf", `${var.environment == "" ? "" : "/${var.environment}"}`, ``, byOptions},
		{"a group that azd does not find", "main.tf", `"azd-env-name" = var.environment`, `"azd-env" = var.environment`, byOptions},
		{"a command for another subscription", "outputs.tf", `keys list --subscription ${var.subscription_id} `, `keys list `, byEvents},
		{"secrets for another subscription", "outputs.tf", `secret set --subscription ${var.subscription_id} `, `secret set `, byForeign},
		{"a role that puts no secrets in", "outputs.tf", `Key Vault Secrets Officer`, `Key Vault Contributor`, byForeign},
		{"the officer of all vaults", "outputs.tf", `--scope ${azurerm_key_vault.this[0].id}`, `--scope ${azurerm_resource_group.this.id}`, byForeign},
		{"inflation that an apply undoes", "kafka.tf", `ignore_changes = [capacity]`, `ignore_changes = [tags]`, byOptions},

		// What watches.
		{"a cap that nobody is told of", "monitoring.tf", `workspace = true`, `workspace = false`, byEvents},
		{"no eye from outside", "monitoring.tf", `count                   = var.web_test ? 1 : 0`, `count                   = 0`, byEvents},
		{"a web test that takes any answer", "monitoring.tf", `expected_status_code        = 200`, `expected_status_code        = 0`, byEvents},
		{"an alert for the busy only", "monitoring.tf", `failed >= 2 and failed * 2 > answers`, `failed >= 50`, byEvents},
		{"an alert that leads nowhere", "monitoring.tf", `What to do: docs/runbook.md#${each.value.todo}. `, ``, byEvents},
		{"a misspelt column of the web test", "monitoring.tf", `unseen >= 2`, `unsen >= 2`, byQueries},

		// Inputs.
		{"a rolling update of one", "variables.tf", `!var.rolling_update || var.always_ready >= 2`, `!var.rolling_update || var.always_ready >= 0`, byInputs},
		{"an app that sleeps and is not woken", "variables.tf", `var.drain_trigger != false || var.always_ready > 0`, `var.drain_trigger != false || var.always_ready >= 0`, byInputs},
		{"a network that is too small", "variables.tf", `<= 24, false)`, `<= 28, false)`, byInputs},
		{"a web test from one place", "variables.tf", `length(distinct(var.web_test_locations)) >= 2`, `length(distinct(var.web_test_locations)) >= 1`, byInputs},
		{"fewer instances than are always ready", "variables.tf", `var.maximum_instances >= var.always_ready`, `var.maximum_instances >= 0`, byInputs},
		{"a network in capitals", "variables.tf", `contains(["public", "private"], var.network)`, `contains(["public", "private"], lower(var.network))`, byInputs},
	}
}

// find puts a folder to the test of the template, which costs nothing, and then to the one that is wanted. It returns the
// one that found something, and what.
func find(ctx context.Context, tf terraform, checker kql.Checker, known schemas, folder, want string) (gate string, err error) {
	text, err := os.ReadFile(filepath.Join(folder, templateFile))
	if err != nil {
		return "", err
	}
	t, err := readTemplate(text)
	if err == nil {
		err = known.check(t)
	}
	if err != nil || want == byTemplate {
		return byTemplate, err
	}
	switch want {
	case byValidate:
		return want, tf.validate(ctx, folder)
	case byQueries, bySecrets:
		s, err := tf.applied(ctx, folder, eventHubsTests)
		if err != nil {
			return eventHubsTests, err
		}
		if want == bySecrets {
			return want, errors.Join(checkSecrets(s), checkKeysAreOff(s))
		}
		return want, checkQueries(ctx, checker, folder, s)
	default:
		return want, tf.test(ctx, folder, want)
	}
}

// TestMistakesAreFound makes realistic mistakes, each in a copy, and looks which check finds them: a check that finds
// nothing is worth nothing.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	tf, checker := newTerraform(t), newChecker(t)
	known, err := microsoft()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(mistakes(), newerMistakes())
	if len(all) < 80 {
		t.Errorf("only %d mistakes are made", len(all))
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			folder := copied(t)
			path := filepath.Join(folder, m.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			spoilt := strings.Replace(string(text), m.right, m.wrong, 1)
			if spoilt == string(text) {
				t.Fatalf("%s has no %q", m.file, m.right)
			}
			if err := os.WriteFile(path, []byte(spoilt), 0o600); err != nil { //nolint:gosec // G703: a copy of ours in a temporary folder
				t.Fatal(err)
			}
			gate, err := find(t.Context(), tf, checker, known, folder, m.gate)
			switch {
			case err == nil:
				t.Error("nothing finds it")
			case gate != m.gate:
				t.Errorf("found by %s, not by %s: %v", gate, m.gate, err)
			}
		})
	}
}

// copied returns a copy of what Terraform reads.
func copied(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	copyFiles(t, folder, "*.tf", "templates/*.json", "queries/*.kql", "tests/*.hcl", "tests/mocks/*.hcl")
	return folder
}
