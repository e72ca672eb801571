data "azurerm_client_config" "current" {}

locals {
  # An environment of azd has names of its own, so that a second one in the same region does not take the first one's.
  place  = "${var.subscription_id}/${var.name}/${var.location}${var.environment == "" ? "" : "/${var.environment}"}"
  suffix = var.suffix != "" ? var.suffix : substr(sha256(local.place), 0, 8)
  tags = merge(
    { application = "userrelay", "managed-by" = "terraform" },
    var.environment == "" ? {} : { "azd-env-name" = var.environment }, # by which azd finds the resource group
    var.tags,
  )
}

resource "azurerm_resource_group" "this" {
  name     = "rg-${var.name}-${local.suffix}"
  location = var.location
  tags     = local.tags
}

# The app's only identity. It reads the package and the host's state, takes and puts outbox messages, sends events and
# telemetry, and reads the vault's secrets: roles.tf.
resource "azurerm_user_assigned_identity" "app" {
  name                = "id-${var.name}-${local.suffix}"
  location            = azurerm_resource_group.this.location
  resource_group_name = azurerm_resource_group.this.name
  tags                = local.tags
}

resource "azurerm_log_analytics_workspace" "this" {
  name                         = "log-${var.name}-${local.suffix}"
  location                     = azurerm_resource_group.this.location
  resource_group_name          = azurerm_resource_group.this.name
  sku                          = "PerGB2018"
  retention_in_days            = var.log_retention_days
  daily_quota_gb               = var.daily_quota_gb
  local_authentication_enabled = false
  tags                         = local.tags
}

resource "azurerm_application_insights" "this" {
  name                         = "appi-${var.name}-${local.suffix}"
  location                     = azurerm_resource_group.this.location
  resource_group_name          = azurerm_resource_group.this.name
  workspace_id                 = azurerm_log_analytics_workspace.this.id
  application_type             = "web"
  local_authentication_enabled = false # the connection string opens nothing
  sampling_percentage          = 100   # a user whose items were sampled away cannot be found
  tags                         = local.tags
}
