# Holds the host's locks and function keys, the package, and the outbox: what is in there is promised to be kept.
resource "azurerm_storage_account" "this" {
  name                             = "st${var.name}${local.suffix}"
  location                         = azurerm_resource_group.this.location
  resource_group_name              = azurerm_resource_group.this.name
  account_tier                     = "Standard"
  account_replication_type         = var.storage_replication
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  local_user_enabled               = false
  public_network_access_enabled    = !local.private
  tags                             = local.tags

  blob_properties {
    delete_retention_policy {
      days = 7
    }
    container_delete_retention_policy {
      days = 7
    }
  }
}

resource "azurerm_storage_container" "package" {
  name                  = "app-package"
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

# The names are fixed: handler, function.json and the host's poison queue must agree.
resource "azurerm_storage_queue" "outbox" {
  for_each           = toset(["userrelay-outbox", "userrelay-outbox-poison"])
  name               = each.key
  storage_account_id = azurerm_storage_account.this.id
}
