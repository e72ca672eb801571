# What to type next, in order; docs/deploy.md explains.

# az works in its default subscription unless it is told another one.
output "subscription_id" {
  value = var.subscription_id
}

output "resource_group" {
  value = azurerm_resource_group.this.name
}

output "function_app_name" {
  value = local.function_app_name
}

output "secrets_officer_command" {
  description = "Gives who is logged in the right to put secrets into the vault, which nobody has, not even the subscription's owner. Empty where there is no vault."
  value       = local.vault ? "az role assignment create --subscription ${var.subscription_id} --role 'Key Vault Secrets Officer' --assignee-object-id \"$(az ad signed-in-user show --query id --output tsv)\" --assignee-principal-type User --scope ${azurerm_key_vault.this[0].id}" : ""
}

output "secret_commands" {
  description = "Puts the secrets of your Kafka into the vault, before the package is published. They are read from files, so that they are in no shell's history; a file must have no line end that is not the secret's."
  value       = join("\n", [for secret in sort(values(local.secrets)) : "az keyvault secret set --subscription ${var.subscription_id} --vault-name ${azurerm_key_vault.this[0].name} --name ${secret} --file ${secret}.txt"])
}

output "key_command" {
  description = "Prints the function's key, which Auth0 needs."
  value       = "az functionapp function keys list --subscription ${var.subscription_id} --resource-group ${azurerm_resource_group.this.name} --name ${local.function_app_name} --function-name RegisterUser --query default --output tsv"
}

output "function_url" {
  description = "Where Auth0 posts to. The key goes into the header x-functions-key."
  value       = "https://${local.hostname}/api/RegisterUser"
}

output "health_url" {
  value = "https://${local.hostname}/api/Health"
}

output "application_insights_url" {
  description = "Logs, workbook and alerts in the portal."
  value       = "https://portal.azure.com/#@${data.azurerm_client_config.current.tenant_id}/resource${azurerm_application_insights.this.id}/workbooks"
}

output "kafka_brokers" {
  value = local.kafka_settings.KAFKA_BROKERS
}

# What azd's hooks and the workflow call it.
output "AZURE_RESOURCE_GROUP" {
  value = azurerm_resource_group.this.name
}

output "AZURE_FUNCTION_APP" {
  value = local.function_app_name
}

locals {
  hostname = jsondecode(azurerm_resource_group_template_deployment.function_app.output_content).hostname.value
}
