locals {
  function_app_name = "func-${var.name}-${local.suffix}"

  # The app's settings, all of them. None is secret: that is why they may stand in Terraform's state.
  app_settings = merge(
    # With an instance that is always there the handler drains; the trigger's instances would wait and be billed.
    coalesce(var.drain_trigger, var.always_ready == 0) ? {} : { "AzureWebJobs.DrainOutbox.Disabled" = "true" },
    var.settings,
    local.kafka_settings,
    local.secret_settings,
    {
      KAFKA_TOPIC = var.topic

      # All three are needed, and no AzureWebJobsStorage beside them, not even an empty one: the host would take it.
      AzureWebJobsStorage__accountName = azurerm_storage_account.this.name
      AzureWebJobsStorage__credential  = "managedidentity"
      AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.app.client_id

      APPLICATIONINSIGHTS_CONNECTION_STRING     = azurerm_application_insights.this.connection_string
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "Authorization=AAD;ClientId=${azurerm_user_assigned_identity.app.client_id}"

      # Which identity the handler's Azure libraries take.
      AZURE_CLIENT_ID = azurerm_user_assigned_identity.app.client_id
    },
  )
}

locals {
  # Who may call. The web test is let in, too: shut out it would tell that the app is dead.
  restrictions = concat(
    length(var.allowed_ips) > 0 && var.web_test ? [{ ipAddress = "ApplicationInsightsAvailability", tag = "ServiceTag", action = "Allow", priority = 90, name = "web-test" }] : [],
    [for i, ip in var.allowed_ips : { ipAddress = ip, tag = "Default", action = "Allow", priority = 100 + i, name = "allowed-${i}" }],
  )
}

resource "azurerm_service_plan" "flex" {
  name                   = "plan-${var.name}-${local.suffix}"
  location               = azurerm_resource_group.this.location
  resource_group_name    = azurerm_resource_group.this.name
  os_type                = "Linux"
  sku_name               = "FC1"
  zone_balancing_enabled = var.zone_redundant
  tags                   = local.tags
}

# The app goes through a template, since azurerm_function_app_flex_consumption writes a connection string with an empty key
# into AzureWebJobsStorage where storage is reached by identity: the deployment is green and the app is dead
# (hashicorp/terraform-provider-azurerm#29693). The template is static; all that varies is a parameter.
resource "azurerm_resource_group_template_deployment" "function_app" {
  name                = "function-app"
  resource_group_name = azurerm_resource_group.this.name
  deployment_mode     = "Incremental"
  template_content    = file("${path.module}/templates/function_app.json")
  tags                = local.tags

  parameters_content = jsonencode({
    name                   = { value = local.function_app_name }
    location               = { value = azurerm_resource_group.this.location }
    tags                   = { value = local.tags }
    planId                 = { value = azurerm_service_plan.flex.id }
    identityId             = { value = azurerm_user_assigned_identity.app.id }
    packageContainerUrl    = { value = "${azurerm_storage_account.this.primary_blob_endpoint}${azurerm_storage_container.package.name}" }
    instanceMemoryMB       = { value = var.instance_memory_mb }
    maximumInstanceCount   = { value = var.maximum_instances }
    httpConcurrency        = { value = var.http_concurrency }
    alwaysReady            = { value = var.always_ready == 0 ? [] : [{ name = "http", instanceCount = var.always_ready }] }
    updateStrategy         = { value = var.rolling_update ? "RollingUpdate" : "Recreate" }
    subnetId               = { value = local.private ? azurerm_subnet.app[0].id : "" }
    ipSecurityRestrictions = { value = local.restrictions }
    appSettings            = { value = local.app_settings }
  })

  # The host looks for its storage as soon as the app is there.
  depends_on = [azurerm_role_assignment.app, azurerm_private_endpoint.this, azurerm_private_dns_zone_virtual_network_link.this]
}
