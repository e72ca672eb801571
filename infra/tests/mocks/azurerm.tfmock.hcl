# What Azure would answer. Ids have the real forms: the provider reads them, and so finds a name where an id belongs.

mock_data "azurerm_client_config" {
  defaults = {
    tenant_id       = "33333333-3333-3333-3333-333333333333"
    subscription_id = "00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "azurerm_resource_group" {
  defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg" }
}

mock_resource "azurerm_user_assigned_identity" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id"
    principal_id = "11111111-1111-1111-1111-111111111111"
    client_id    = "22222222-2222-2222-2222-222222222222"
  }
}

# The keys that the provider would read and write into the state stand here as something to look for: they must come up
# nowhere else.
mock_resource "azurerm_log_analytics_workspace" {
  defaults = {
    id                   = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/log"
    primary_shared_key   = "SECRETworkspaceKey"
    secondary_shared_key = "SECRETworkspaceKey2"
  }
}

mock_resource "azurerm_application_insights" {
  defaults = {
    id                  = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Insights/components/appi"
    connection_string   = "InstrumentationKey=44444444-4444-4444-4444-444444444444;IngestionEndpoint=https://x.in.applicationinsights.azure.com/"
    instrumentation_key = "44444444-4444-4444-4444-444444444444"
  }
}

mock_resource "azurerm_storage_account" {
  defaults = {
    id                        = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stx"
    primary_blob_endpoint     = "https://stx.blob.core.windows.net/"
    primary_queue_endpoint    = "https://stx.queue.core.windows.net/"
    primary_access_key        = "SECRETstorageKey"
    secondary_access_key      = "SECRETstorageKey2"
    primary_connection_string = "DefaultEndpointsProtocol=https;AccountName=stx;AccountKey=SECRETstorageKey"
  }
}

mock_resource "azurerm_storage_container" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stx/blobServices/default/containers/app-package"
  }
}

mock_resource "azurerm_storage_queue" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stx/queueServices/default/queues/q"
  }
}

mock_resource "azurerm_service_plan" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Web/serverFarms/plan"
  }
}

mock_resource "azurerm_eventhub_namespace" {
  defaults = {
    id                                = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/evhns"
    default_primary_key               = "SECRETnamespaceKey"
    default_primary_connection_string = "Endpoint=sb://evhns.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SECRETnamespaceKey"
  }
}

mock_resource "azurerm_eventhub" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/evhns/eventhubs/topic"
  }
}

mock_resource "azurerm_key_vault" {
  defaults = {
    id        = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv"
    vault_uri = "https://kv.vault.azure.net/"
  }
}

mock_resource "azurerm_monitor_action_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Insights/actionGroups/ag"
  }
}

mock_resource "azurerm_virtual_network" {
  defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet" }
}

mock_resource "azurerm_subnet" {
  defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet/subnets/subnet" }
}

mock_resource "azurerm_private_dns_zone" {
  defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/zone" }
}

mock_resource "azurerm_resource_group_template_deployment" {
  defaults = {
    output_content = "{\"hostname\":{\"type\":\"String\",\"value\":\"func.azurewebsites.net\"}}"
  }
}
