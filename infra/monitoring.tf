locals {
  # The queries of people, workbook and alerts are the same files.
  queries = { for file in fileset("${path.module}/queries", "*.kql") : trimsuffix(file, ".kql") => file("${path.module}/queries/${file}") }

  # An alert fires when its query, over the window, has a row. `where` is appended to the query. The rule's window cuts off
  # what the query itself would look at beyond it.
  alerts = {
    answers = {
      title = "RegisterUser fails", severity = 1, every = "PT5M", window = "PT15M", where = "| where failed >= 5"
      about = "Callers are answered 500 or above, or not at all. Auth0 tries again for a while."
    }
    received-never-stored = {
      title = "Registrations are stored nowhere", severity = 1, every = "PT15M", window = "PT1H"
      # A repeat may come up to 5 minutes after what it repeats was stored, which may be before the window.
      where = "| where firstSeen > ago(54m)"
      about = "Neither Kafka nor the outbox took them, and no repeat has stored them since."
    }
    outbox-waiting = {
      title = "The outbox does not drain", severity = 1, every = "PT5M", window = "P1D", where = ""
      about = "Registrations have waited in the outbox for more than 5 minutes. They are safe there; Kafka is away, or DrainOutbox does not run."
    }
    poisoned = {
      title = "A message was moved to the poison queue", severity = 1, every = "PT5M", window = "PT15M", where = ""
      about = "It is a registration that is in Kafka only after a person has looked at it."
    }
    failed-forwards = {
      title = "Kafka refuses records or cannot be reached", severity = 2, every = "PT5M", window = "PT15M", where = "| where failures >= 5"
      about = "The outbox keeps the registrations meanwhile. errorClass says why."
    }
    lost-telemetry = {
      title = "Telemetry was lost", severity = 2, every = "PT15M", window = "PT1H", where = ""
      about = "The handler could not deliver all of its items, so that queries find less than there was."
    }
    requests-without-telemetry = {
      title = "Requests without telemetry", severity = 2, every = "PT15M", window = "PT1H", where = "| where silent >= 5"
      about = "The host tells of requests of which the handler tells nothing: its telemetry does not arrive."
    }
  }
}

resource "azurerm_monitor_action_group" "this" {
  name                = "ag-${var.name}-${local.suffix}"
  resource_group_name = azurerm_resource_group.this.name
  short_name          = var.name
  tags                = local.tags

  dynamic "email_receiver" {
    for_each = toset(var.alert_emails)
    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "this" {
  for_each                = local.alerts
  name                    = "alert-${var.name}-${each.key}"
  display_name            = "${var.name}: ${each.value.title}"
  description             = "${each.value.about} Query: infra/queries/${each.key}.kql"
  location                = azurerm_resource_group.this.location
  resource_group_name     = azurerm_resource_group.this.name
  scopes                  = [azurerm_application_insights.this.id]
  severity                = each.value.severity
  evaluation_frequency    = each.value.every
  window_duration         = each.value.window
  auto_mitigation_enabled = true
  tags                    = local.tags

  criteria {
    query                   = "${local.queries[each.key]}${each.value.where}"
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0

    failing_periods {
      minimum_failing_periods_to_trigger_alert = 1
      number_of_evaluation_periods             = 1
    }
  }

  action {
    action_groups = [azurerm_monitor_action_group.this.id]
  }
}

# A share of failures that is unusual for this app, which no fixed number would show.
resource "azurerm_monitor_smart_detector_alert_rule" "failures" {
  name                = "alert-${var.name}-failure-anomalies"
  description         = "An unusual share of failed requests or calls to Kafka."
  resource_group_name = azurerm_resource_group.this.name
  detector_type       = "FailureAnomaliesDetector"
  scope_resource_ids  = [azurerm_application_insights.this.id]
  severity            = "Sev2"
  frequency           = "PT1M"
  tags                = local.tags

  action_group {
    ids = [azurerm_monitor_action_group.this.id]
  }
}

# The app's own logs go to Application Insights; these are of what it stands on. The log of reads of the queue is left out:
# it would grow with every poll of the host.
locals {
  diagnostics = merge(
    { outbox = { id = "${azurerm_storage_account.this.id}/queueServices/default", logs = ["StorageDelete", "StorageWrite"] } },
    local.event_hubs ? { events = { id = azurerm_eventhub_namespace.this[0].id, logs = ["AutoScaleLogs", "KafkaUserErrorLogs", "OperationalLogs"] } } : {},
    local.vault ? { secrets = { id = azurerm_key_vault.this[0].id, logs = ["AuditEvent"] } } : {},
  )
}

resource "azurerm_monitor_diagnostic_setting" "this" {
  for_each                   = local.diagnostics
  name                       = "to-workspace"
  target_resource_id         = each.value.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  dynamic "enabled_log" {
    for_each = toset(each.value.logs)
    content {
      category = enabled_log.value
    }
  }
}
