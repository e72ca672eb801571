locals {
  # Secrets of a foreign Kafka, by the setting that refers to them. Terraform makes the vault and the references, and never
  # sees a value: `secret_commands` says how to put them in.
  secrets = local.event_hubs ? {} : merge(
    var.kafka.sasl_username != "" ? { KAFKA_SASL_PASSWORD = "kafka-sasl-password" } : {},
    var.kafka.client_certificate ? { KAFKA_TLS_CERT = "kafka-tls-cert", KAFKA_TLS_KEY = "kafka-tls-key" } : {},
  )
  vault = length(local.secrets) > 0

  # Without a version, so that a new value is found by itself.
  secret_settings = { for setting, secret in local.secrets :
    setting => "@Microsoft.KeyVault(SecretUri=${azurerm_key_vault.this[0].vault_uri}secrets/${secret})"
  }
}

resource "azurerm_key_vault" "this" {
  count                      = local.vault ? 1 : 0
  name                       = "kv-${var.name}-${local.suffix}"
  location                   = azurerm_resource_group.this.location
  resource_group_name        = azurerm_resource_group.this.name
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90
  tags                       = local.tags

  public_network_access_enabled = !local.private
}
