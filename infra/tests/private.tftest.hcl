# network = "private": what the app stands on has no public address.

mock_provider "azurerm" {
  source = "./tests/mocks"

  override_resource {
    target = azurerm_subnet.app
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet/subnets/app" }
  }
  override_resource {
    target = azurerm_subnet.endpoints
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet/subnets/endpoints" }
  }
}

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
  location        = "westeurope"
  network         = "private"
  network_cidr    = "10.0.16.0/22"
}

run "event_hubs" {
  assert {
    condition     = !azurerm_storage_account.this.public_network_access_enabled && !azurerm_eventhub_namespace.this[0].public_network_access_enabled
    error_message = "neither storage nor Event Hubs have a public address"
  }
  # What each private link means: Azure takes any text, and the app finds nothing.
  assert {
    condition = { for name, e in azurerm_private_endpoint.this : name => [one(e.private_service_connection[0].subresource_names), e.private_service_connection[0].private_connection_resource_id, e.private_service_connection[0].is_manual_connection] } == {
      blob      = ["blob", azurerm_storage_account.this.id, false]
      queue     = ["queue", azurerm_storage_account.this.id, false]
      namespace = ["namespace", azurerm_eventhub_namespace.this[0].id, false]
    }
    error_message = "one endpoint for each service"
  }
  assert {
    condition     = alltrue([for e in azurerm_private_endpoint.this : e.subnet_id == azurerm_subnet.endpoints[0].id])
    error_message = "endpoints lie in their own subnet: the app's takes nothing else"
  }
  # By which names the app finds them.
  assert {
    condition     = toset([for z in azurerm_private_dns_zone.this : z.name]) == toset(["privatelink.blob.core.windows.net", "privatelink.queue.core.windows.net", "privatelink.servicebus.windows.net"])
    error_message = "a zone for each service's names"
  }
  assert {
    condition     = { for name, e in local.endpoints : name => e.zone } == { blob = "privatelink.blob.core.windows.net", queue = "privatelink.queue.core.windows.net", namespace = "privatelink.servicebus.windows.net" }
    error_message = "each service in its zone"
  }
  assert {
    condition     = toset(keys(azurerm_private_dns_zone_virtual_network_link.this)) == toset(keys(azurerm_private_dns_zone.this)) && alltrue([for l in azurerm_private_dns_zone_virtual_network_link.this : l.virtual_network_id == azurerm_virtual_network.this[0].id])
    error_message = "the network looks into every zone"
  }
  assert {
    condition     = azurerm_subnet.app[0].delegation[0].service_delegation[0].name == "Microsoft.App/environments" && !strcontains(azurerm_subnet.app[0].name, "_")
    error_message = "Flex Consumption takes this delegation only, and no underscore"
  }
  assert {
    condition     = azurerm_subnet.app[0].address_prefixes == tolist(["10.0.16.0/23"]) && azurerm_subnet.endpoints[0].address_prefixes == tolist(["10.0.18.0/24"]) && one(azurerm_virtual_network.this[0].address_space) == "10.0.16.0/22"
    error_message = "the subnets do not overlap, and the app's is the large one"
  }
  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).subnetId.value == azurerm_subnet.app[0].id
    error_message = "the app is in the network"
  }
  assert {
    condition = alltrue([for tags in concat(
      [azurerm_virtual_network.this[0].tags],
      [for e in azurerm_private_endpoint.this : e.tags],
      [for z in azurerm_private_dns_zone.this : z.tags],
      [for l in azurerm_private_dns_zone_virtual_network_link.this : l.tags],
    ) : tags["application"] == "userrelay"])
    error_message = "tags are on everything"
  }
  assert {
    condition     = toset([for r in azurerm_role_assignment.app : regex("[^/]+$", r.role_definition_id)]) == toset(["b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "974c5e8b-45b9-4653-ba55-5f855dd0fb88", "3913510d-42f4-4e42-8a64-420c390055eb", "2b629674-e913-4c01-ae53-ef4638d8f975"])
    error_message = "the roles are the same"
  }
}

run "foreign_kafka" {
  command = plan

  variables {
    kafka = { brokers = ["b1.example.com:9092"], sasl_mechanism = "PLAIN", sasl_username = "u" }
  }

  assert {
    condition     = !azurerm_key_vault.this[0].public_network_access_enabled
    error_message = "the vault has no public address"
  }
  assert {
    condition     = { for name, e in azurerm_private_endpoint.this : name => one(e.private_service_connection[0].subresource_names) } == { blob = "blob", queue = "queue", vault = "vault" }
    error_message = "the vault instead of Event Hubs"
  }
  assert {
    condition     = local.endpoints.vault.zone == "privatelink.vaultcore.azure.net"
    error_message = "the vault's zone"
  }
}
