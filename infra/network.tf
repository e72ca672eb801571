# With network = "private": what the app stands on has no public address, and the app reaches it through a virtual network.
# The app itself keeps one, since Auth0 calls it over the Internet; so do Application Insights and Log Analytics.
locals {
  private = var.network == "private"

  # The services, by what their private link calls the part that is meant, with the zone in which their names are looked up.
  endpoints = local.private ? merge(
    {
      blob  = { resource = azurerm_storage_account.this.id, zone = "privatelink.blob.core.windows.net" }
      queue = { resource = azurerm_storage_account.this.id, zone = "privatelink.queue.core.windows.net" }
    },
    local.event_hubs ? { namespace = { resource = azurerm_eventhub_namespace.this[0].id, zone = "privatelink.servicebus.windows.net" } } : {},
    local.vault ? { vault = { resource = azurerm_key_vault.this[0].id, zone = "privatelink.vaultcore.azure.net" } } : {},
  ) : {}
}

resource "azurerm_virtual_network" "this" {
  count               = local.private ? 1 : 0
  name                = "vnet-${var.name}-${local.suffix}"
  location            = azurerm_resource_group.this.location
  resource_group_name = azurerm_resource_group.this.name
  address_space       = [var.network_cidr]
  tags                = local.tags
}

# Flex Consumption wants this delegation and no other, and a subnet of its own whose name has no underscore.
resource "azurerm_subnet" "app" {
  count                = local.private ? 1 : 0
  name                 = "app"
  resource_group_name  = azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this[0].name
  address_prefixes     = [cidrsubnet(var.network_cidr, 1, 0)]

  delegation {
    name = "flex"
    service_delegation {
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_subnet" "endpoints" {
  count                = local.private ? 1 : 0
  name                 = "endpoints"
  resource_group_name  = azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this[0].name
  address_prefixes     = [cidrsubnet(var.network_cidr, 2, 2)]
}

resource "azurerm_private_dns_zone" "this" {
  for_each            = toset([for e in local.endpoints : e.zone])
  name                = each.key
  resource_group_name = azurerm_resource_group.this.name
  tags                = local.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each            = azurerm_private_dns_zone.this
  name                = "link-${var.name}"
  private_dns_zone_id = each.value.id
  virtual_network_id  = azurerm_virtual_network.this[0].id
  tags                = local.tags
}

resource "azurerm_private_endpoint" "this" {
  for_each            = local.endpoints
  name                = "pe-${each.key}-${var.name}-${local.suffix}"
  location            = azurerm_resource_group.this.location
  resource_group_name = azurerm_resource_group.this.name
  subnet_id           = azurerm_subnet.endpoints[0].id
  tags                = local.tags

  private_service_connection {
    name                           = each.key
    private_connection_resource_id = each.value.resource
    subresource_names              = [each.key]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = each.key
    private_dns_zone_ids = [azurerm_private_dns_zone.this[each.value.zone].id]
  }
}
