# What a first apply makes, with the defaults: an app on Event Hubs, without a secret anywhere.

mock_provider "azurerm" {
  source = "./tests/mocks"

  override_resource {
    target = azurerm_storage_queue.outbox["userrelay-outbox"]
    values = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stx/queueServices/default/queues/userrelay-outbox"
    }
  }
  override_resource {
    target = azurerm_storage_queue.outbox["userrelay-outbox-poison"]
    values = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stx/queueServices/default/queues/userrelay-outbox-poison"
    }
  }
}

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
  location        = "westeurope"
  alert_emails    = ["oncall@example.com"]
  settings        = { AUTH0_TENANT = "example" }
}

run "event_hubs" {
  assert {
    condition     = !azurerm_storage_account.this.shared_access_key_enabled && azurerm_storage_account.this.default_to_oauth_authentication && !azurerm_storage_account.this.local_user_enabled
    error_message = "storage: keys must be off"
  }
  assert {
    condition     = azurerm_storage_account.this.min_tls_version == "TLS1_2" && azurerm_storage_account.this.https_traffic_only_enabled
    error_message = "storage: TLS 1.2 only"
  }
  assert {
    condition     = !azurerm_storage_account.this.allow_nested_items_to_be_public && !azurerm_storage_account.this.cross_tenant_replication_enabled && azurerm_storage_container.package.container_access_type == "private"
    error_message = "storage: nothing may be public"
  }
  assert {
    condition     = azurerm_storage_account.this.blob_properties[0].delete_retention_policy[0].days >= 7 && azurerm_storage_account.this.blob_properties[0].container_delete_retention_policy[0].days >= 7
    error_message = "storage: what is deleted must come back for 7 days, the function's keys among it"
  }
  assert {
    condition     = azurerm_storage_account.this.account_replication_type == "ZRS"
    error_message = "storage: the outbox must outlive a data centre"
  }
  assert {
    condition     = toset([for q in azurerm_storage_queue.outbox : q.name]) == toset(["userrelay-outbox", "userrelay-outbox-poison"])
    error_message = "outbox and poison queue have the names that handler and host use"
  }

  assert {
    condition     = !azurerm_application_insights.this.local_authentication_enabled && !azurerm_log_analytics_workspace.this.local_authentication_enabled
    error_message = "telemetry: keys must be off"
  }
  assert {
    condition     = azurerm_application_insights.this.sampling_percentage == 100 && azurerm_application_insights.this.workspace_id == azurerm_log_analytics_workspace.this.id
    error_message = "telemetry: all of it, in the workspace"
  }

  assert {
    condition     = azurerm_eventhub_namespace.this[0].sku == "Standard" && !azurerm_eventhub_namespace.this[0].local_authentication_enabled && azurerm_eventhub_namespace.this[0].minimum_tls_version == "1.2"
    error_message = "Event Hubs: a tier that speaks Kafka, no keys, TLS 1.2"
  }
  assert {
    condition     = azurerm_eventhub.topic[0].name == "user-events" && azurerm_eventhub.topic[0].partition_count == 4 && azurerm_eventhub.topic[0].retention_description[0].retention_time_in_hours == 168
    error_message = "Event Hubs: the topic"
  }
  assert {
    condition     = length(azurerm_key_vault.this) == 0 && output.secret_commands == "" && output.secrets_officer_command == ""
    error_message = "Event Hubs need no vault"
  }

  assert {
    condition     = azurerm_service_plan.flex.sku_name == "FC1" && azurerm_service_plan.flex.os_type == "Linux"
    error_message = "the plan is Flex Consumption"
  }
  assert {
    condition     = output.function_url == "https://func.azurewebsites.net/api/RegisterUser" && output.kafka_brokers == "${azurerm_eventhub_namespace.this[0].name}.servicebus.windows.net:9093"
    error_message = "outputs"
  }

  assert {
    condition     = output.subscription_id == var.subscription_id && output.AZURE_RESOURCE_GROUP == azurerm_resource_group.this.name && output.AZURE_FUNCTION_APP == output.function_app_name
    error_message = "where the commands work, for people and for azd"
  }
  assert {
    condition     = strcontains(output.key_command, " --subscription ${var.subscription_id} ")
    error_message = "commands name the subscription: az's default one may be another"
  }
  assert {
    condition     = !contains(keys(azurerm_resource_group.this.tags), "azd-env-name")
    error_message = "without azd nothing is azd's"
  }

  # Every role by its id, and where it holds. All others would be too many.
  assert {
    condition = { for name, r in local.roles : name => [r.scope, r.role] } == {
      blob      = [azurerm_storage_account.this.id, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"]
      outbox    = ["${azurerm_storage_account.this.id}/queueServices/default/queues/userrelay-outbox", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"]
      poison    = ["${azurerm_storage_account.this.id}/queueServices/default/queues/userrelay-outbox-poison", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"]
      telemetry = [azurerm_application_insights.this.id, "3913510d-42f4-4e42-8a64-420c390055eb"]
      events    = [azurerm_eventhub.topic[0].id, "2b629674-e913-4c01-ae53-ef4638d8f975"]
    }
    error_message = "roles and scopes"
  }
  assert {
    condition     = { for name, r in azurerm_role_assignment.app : name => [r.scope, r.role_definition_id] } == { for name, r in local.roles : name => [r.scope, "/subscriptions/${var.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/${r.role}"] }
    error_message = "each role is assigned as it is listed"
  }
  assert {
    condition     = alltrue([for r in azurerm_role_assignment.app : r.principal_id == azurerm_user_assigned_identity.app.principal_id && r.principal_type == "ServicePrincipal"])
    error_message = "all roles are the app's identity's"
  }

  # The app.
  assert {
    condition = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).appSettings.value == {
      AUTH0_TENANT                              = "example"
      "AzureWebJobs.DrainOutbox.Disabled"       = "true"
      AZURE_CLIENT_ID                           = "22222222-2222-2222-2222-222222222222"
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "Authorization=AAD;ClientId=22222222-2222-2222-2222-222222222222"
      APPLICATIONINSIGHTS_CONNECTION_STRING     = azurerm_application_insights.this.connection_string
      AzureWebJobsStorage__accountName          = azurerm_storage_account.this.name
      AzureWebJobsStorage__clientId             = "22222222-2222-2222-2222-222222222222"
      AzureWebJobsStorage__credential           = "managedidentity"
      KAFKA_BROKERS                             = "${azurerm_eventhub_namespace.this[0].name}.servicebus.windows.net:9093"
      KAFKA_SASL_MECHANISM                      = "OAUTHBEARER"
      KAFKA_TOPIC                               = "user-events"
    }
    error_message = "the app's settings: these and no others"
  }
  assert {
    condition     = toset(keys(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content))) == toset(keys(jsondecode(azurerm_resource_group_template_deployment.function_app.template_content).parameters))
    error_message = "the template gets every parameter that it has, and no other"
  }
  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).identityId.value == azurerm_user_assigned_identity.app.id && jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).planId.value == azurerm_service_plan.flex.id
    error_message = "ids where ids belong"
  }
  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).packageContainerUrl.value == "https://stx.blob.core.windows.net/app-package"
    error_message = "where the package lies"
  }
  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).httpConcurrency.value == 200
    error_message = "the platform's own limit of requests for an instance is as low as 4"
  }
  assert {
    condition     = jsonencode(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).alwaysReady.value) == jsonencode([{ instanceCount = 1, name = "http" }])
    error_message = "one instance is always ready"
  }
  assert {
    condition     = length(jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).ipSecurityRestrictions.value) == 0
    error_message = "all addresses may call unless told otherwise"
  }

  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).updateStrategy.value == "Recreate" && jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).subnetId.value == ""
    error_message = "no preview and no network unless told otherwise"
  }
  assert {
    condition     = azurerm_storage_account.this.public_network_access_enabled && azurerm_eventhub_namespace.this[0].public_network_access_enabled && length(azurerm_private_endpoint.this) == 0 && length(azurerm_virtual_network.this) == 0
    error_message = "no network unless told otherwise"
  }

  # Monitoring.
  assert {
    condition     = toset(keys(azurerm_monitor_scheduled_query_rules_alert_v2.this)) == toset(["answers", "answers-few", "failed-forwards", "lost-telemetry", "outbox-waiting", "over-quota", "poisoned", "received-never-stored", "requests-without-telemetry", "telemetry-few", "unanswered"])
    error_message = "alerts"
  }
  assert {
    condition     = alltrue([for name, a in azurerm_monitor_scheduled_query_rules_alert_v2.this : a.auto_mitigation_enabled && a.enabled != false && one(a.scopes) == (name == "over-quota" ? azurerm_log_analytics_workspace.this.id : azurerm_application_insights.this.id) && one(a.action[0].action_groups) == azurerm_monitor_action_group.this.id])
    error_message = "alerts look at this app, the cap's at the workspace, which alone tells of it, and reach people"
  }
  assert {
    condition     = alltrue([for a in azurerm_monitor_scheduled_query_rules_alert_v2.this : can(regex("What to do: docs/runbook.md#[a-z-]+\\.", a.description))])
    error_message = "who is called at night is told where to look"
  }
  assert {
    condition     = azurerm_monitor_scheduled_query_rules_alert_v2.this["answers-few"].window_duration == "PT6H" && endswith(azurerm_monitor_scheduled_query_rules_alert_v2.this["answers-few"].criteria[0].query, "| where failed >= 2 and failed * 2 > answers")
    error_message = "an app with one registration an hour, of which all fail, is noticed"
  }
  assert {
    condition     = azurerm_application_insights_standard_web_test.health[0].enabled && azurerm_application_insights_standard_web_test.health[0].request[0].url == output.health_url && azurerm_application_insights_standard_web_test.health[0].application_insights_id == azurerm_application_insights.this.id && length(azurerm_application_insights_standard_web_test.health[0].geo_locations) >= 2
    error_message = "a dead app tells nothing: it is asked from outside, from two places at least"
  }
  assert {
    condition     = azurerm_application_insights_standard_web_test.health[0].frequency == 300 && azurerm_application_insights_standard_web_test.health[0].validation_rules[0].expected_status_code == 200
    error_message = "every five minutes, and only an answer counts"
  }
  assert {
    condition     = azurerm_monitor_smart_detector_alert_rule.failures.detector_type == "FailureAnomaliesDetector" && azurerm_monitor_smart_detector_alert_rule.failures.scope_resource_ids == toset([azurerm_application_insights.this.id])
    error_message = "failure anomalies"
  }
  assert {
    condition     = [for r in azurerm_monitor_action_group.this.email_receiver : r.email_address] == ["oncall@example.com"]
    error_message = "who is told"
  }
  assert {
    condition     = { for name, d in azurerm_monitor_diagnostic_setting.this : name => d.target_resource_id } == { outbox = "${azurerm_storage_account.this.id}/queueServices/default", events = azurerm_eventhub_namespace.this[0].id }
    error_message = "what the app stands on is logged, too"
  }
}
