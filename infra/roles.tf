locals {
  # What the app's identity may do: the role by its id, since names can change, and the narrowest scope that does.
  roles = merge(
    {
      # Storage Blob Data Owner: the host's locks and keys lie in containers that the host makes itself, so the scope is
      # the account, which has nothing but this app.
      blob = { scope = azurerm_storage_account.this.id, role = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b" }
      # Storage Queue Data Contributor
      outbox = { scope = azurerm_storage_queue.outbox["userrelay-outbox"].id, role = "974c5e8b-45b9-4653-ba55-5f855dd0fb88" }
      poison = { scope = azurerm_storage_queue.outbox["userrelay-outbox-poison"].id, role = "974c5e8b-45b9-4653-ba55-5f855dd0fb88" }
      # Monitoring Metrics Publisher
      telemetry = { scope = azurerm_application_insights.this.id, role = "3913510d-42f4-4e42-8a64-420c390055eb" }
    },
    local.event_hubs ? {
      # Azure Event Hubs Data Sender
      events = { scope = azurerm_eventhub.topic[0].id, role = "2b629674-e913-4c01-ae53-ef4638d8f975" }
    } : {},
    local.vault ? {
      # Key Vault Secrets User: the vault has nothing but this app's secrets.
      secrets = { scope = azurerm_key_vault.this[0].id, role = "4633458b-17de-408a-b874-0445c86b69e6" }
    } : {},
  )
}

resource "azurerm_role_assignment" "app" {
  for_each           = local.roles
  scope              = each.value.scope
  role_definition_id = "/subscriptions/${var.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/${each.value.role}"
  principal_id       = azurerm_user_assigned_identity.app.principal_id
  principal_type     = "ServicePrincipal"
}
