# What can be chosen, with Event Hubs.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
  location        = "westeurope"
}

# An environment of azd has names of its own, and azd finds its resource group by a tag.
run "azd" {
  variables {
    environment = "my_test.(2)"
  }

  assert {
    condition     = azurerm_resource_group.this.name != "rg-userrelay-${substr(sha256("${var.subscription_id}/userrelay/${var.location}"), 0, 8)}"
    error_message = "a second environment must not have the first one's names"
  }
  assert {
    condition     = azurerm_resource_group.this.tags["azd-env-name"] == "my_test.(2)"
    error_message = "azd finds the resource group by the tag azd-env-name"
  }
}

# What auto-inflate has raised is not taken back.
run "inflated" {
  command = plan

  variables {
    event_hubs = { throughput_units = 3 }
  }

  assert {
    condition     = azurerm_eventhub_namespace.this[0].capacity == 1
    error_message = "an apply leaves the number of throughput units alone"
  }
}

run "always_awake" {
  command = plan

  variables {
    always_ready      = 2
    rolling_update    = true
    maximum_instances = 2
    drain_trigger     = true
    web_test          = false
    allowed_ips       = ["203.0.113.7/32"]
  }

  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).updateStrategy.value == "RollingUpdate" && jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).maximumInstanceCount.value == 2
    error_message = "an update in batches, of two instances"
  }
  assert {
    condition     = !contains(keys(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).appSettings.value), "AzureWebJobs.DrainOutbox.Disabled")
    error_message = "the trigger can be had all the same"
  }
  assert {
    condition     = length(azurerm_application_insights_standard_web_test.health) == 0 && !contains(keys(azurerm_monitor_scheduled_query_rules_alert_v2.this), "unanswered") && length(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).ipSecurityRestrictions.value) == 1
    error_message = "without the web test nothing of it"
  }
}

run "all_that_can_be_chosen" {
  command = plan

  variables {
    tags                = { owner = "identity team" }
    zone_redundant      = true
    always_ready        = 0
    instance_memory_mb  = 512
    http_concurrency    = 100
    storage_replication = "GZRS"
    allowed_ips         = ["203.0.113.7/32", "2001:db8::/48"]
  }

  assert {
    condition = alltrue([for tags in concat(
      [
        azurerm_resource_group.this.tags, azurerm_user_assigned_identity.app.tags, azurerm_log_analytics_workspace.this.tags,
        azurerm_application_insights.this.tags, azurerm_storage_account.this.tags, azurerm_eventhub_namespace.this[0].tags,
        azurerm_service_plan.flex.tags, azurerm_resource_group_template_deployment.function_app.tags,
        azurerm_monitor_action_group.this.tags, azurerm_monitor_smart_detector_alert_rule.failures.tags,
        azurerm_application_insights_workbook.this.tags, azurerm_application_insights_standard_web_test.health[0].tags,
        jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).tags.value,
      ],
      [for a in azurerm_monitor_scheduled_query_rules_alert_v2.this : a.tags],
    ) : tags["owner"] == "identity team" && tags["application"] == "userrelay"])
    error_message = "tags are on everything"
  }

  assert {
    condition     = azurerm_service_plan.flex.zone_balancing_enabled
    error_message = "zones"
  }
  assert {
    condition = { for name in ["alwaysReady", "httpConcurrency", "instanceMemoryMB", "ipSecurityRestrictions"] : name => jsonencode(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content)[name].value) } == {
      alwaysReady      = "[]"
      httpConcurrency  = "100"
      instanceMemoryMB = "512"
      ipSecurityRestrictions = jsonencode([
        { action = "Allow", ipAddress = "ApplicationInsightsAvailability", name = "web-test", priority = 90, tag = "ServiceTag" },
        { action = "Allow", ipAddress = "203.0.113.7/32", name = "allowed-0", priority = 100, tag = "Default" },
        { action = "Allow", ipAddress = "2001:db8::/48", name = "allowed-1", priority = 101, tag = "Default" },
      ])
    }
    error_message = "what was chosen arrives at the template, and the web test is let in beside"
  }
  assert {
    condition     = !contains(keys(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).appSettings.value), "AzureWebJobs.DrainOutbox.Disabled")
    error_message = "an app that sleeps is woken by the trigger"
  }
}
