# What to type next, in order; docs/deploy.md explains.

output "resource_group" {
  value = azurerm_resource_group.this.name
}

output "function_app_name" {
  value = local.function_app_name
}

output "secret_commands" {
  description = "Puts the secrets of your Kafka into the vault, before the package is published. They are read from files, so that they are in no shell's history; a file must have no line end that is not the secret's. You need the role Key Vault Secrets Officer on the vault."
  value       = [for secret in sort(values(local.secrets)) : "az keyvault secret set --vault-name ${azurerm_key_vault.this[0].name} --name ${secret} --file ${secret}.txt"]
}

output "publish_command" {
  description = "Publishes the package that `go run ./tools/package -o userrelay.zip` makes."
  value       = "az functionapp deployment source config-zip --resource-group ${azurerm_resource_group.this.name} --name ${local.function_app_name} --src userrelay.zip"
}

output "key_command" {
  description = "Prints the function's key, which Auth0 needs."
  value       = "az functionapp function keys list --resource-group ${azurerm_resource_group.this.name} --name ${local.function_app_name} --function-name RegisterUser --query default --output tsv"
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

locals {
  hostname = jsondecode(azurerm_resource_group_template_deployment.function_app.output_content).hostname.value
}
