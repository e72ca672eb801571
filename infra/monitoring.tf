locals {
  # The queries of people, workbook and alerts are the same files.
  queries = { for file in fileset("${path.module}/queries", "*.kql") : trimsuffix(file, ".kql") => file("${path.module}/queries/${file}") }

  # An alert fires when its query, over the window, has a row. `then` is appended to the query. The rule's window cuts off
  # what the query itself would look at beyond it. `todo` is the section of docs/runbook.md for whoever is called.
  alerts = merge({
    answers = {
      query = "answers", title = "RegisterUser fails", severity = 1, every = "PT5M", window = "PT15M", then = "| where failed >= 5"
      about = "Callers are answered 500 or above, or not at all. Auth0 tries again for a while.", todo = "nothing-is-stored"
    }
    # An app with one registration an hour never has five failures in five minutes.
    answers-few = {
      query = "answers", title = "RegisterUser fails more often than not", severity = 1, every = "PT15M", window = "PT6H"
      then  = "| summarize answers = sum(answers), failed = sum(failed)\n| where failed >= 2 and failed * 2 > answers"
      about = "Of the few callers of the last six hours most were answered 500 or above, or not at all.", todo = "nothing-is-stored"
    }
    received-never-stored = {
      query = "received-never-stored", title = "Registrations are stored nowhere", severity = 1, every = "PT15M", window = "PT1H"
      # A repeat may come up to 5 minutes after what it repeats was stored, which may be before the window.
      then  = "| where firstSeen > ago(54m)"
      about = "Neither Kafka nor the outbox took them, and no repeat has stored them since.", todo = "nothing-is-stored"
    }
    outbox-waiting = {
      query = "outbox-waiting", title = "The outbox does not drain", severity = 1, every = "PT5M", window = "P1D", then = ""
      about = "Registrations have waited in the outbox for more than 5 minutes. They are safe there; Kafka is away, or nobody drains.", todo = "the-outbox-grows"
    }
    poisoned = {
      query = "poisoned", title = "A message was moved to the poison queue", severity = 1, every = "PT5M", window = "PT15M", then = ""
      about = "It is a registration that is in Kafka only after a person has looked at it.", todo = "poison"
    }
    failed-forwards = {
      query = "failed-forwards", title = "Kafka refuses records or cannot be reached", severity = 2, every = "PT5M", window = "PT15M", then = "| where failures >= 5"
      about = "The outbox keeps the registrations meanwhile. errorClass says why.", todo = "kafka-is-down"
    }
    lost-telemetry = {
      query = "lost-telemetry", title = "Telemetry was lost", severity = 2, every = "PT15M", window = "PT1H", then = ""
      about = "The handler could not deliver all of its items, so that queries find less than there was.", todo = "telemetry-is-missing"
    }
    requests-without-telemetry = {
      query = "requests-without-telemetry", title = "Requests without telemetry", severity = 2, every = "PT15M", window = "PT1H", then = "| where silent >= 5"
      about = "The host tells of requests of which the handler tells nothing: its telemetry does not arrive.", todo = "telemetry-is-missing"
    }
    telemetry-few = {
      query = "requests-without-telemetry", title = "No request has telemetry", severity = 2, every = "PT15M", window = "PT6H"
      then  = "| where silent >= 2 and silent == answered"
      about = "Of the few requests of the last six hours the handler told nothing: its telemetry does not arrive.", todo = "telemetry-is-missing"
    }
    # All other alerts look at telemetry, and at the cap there is none.
    over-quota = {
      query = "over-quota", title = "The daily cap of telemetry is reached: all other alerts are blind", severity = 1, every = "PT5M", window = "PT1H", then = ""
      about = "Until the cap's reset, which the query's row names, nothing is taken. Registrations are stored all the same.", todo = "telemetry-is-missing", workspace = true
    }
    }, var.web_test ? {
    # All other alerts look at what the app tells, and a dead app tells nothing.
    unanswered = {
      query = "unanswered", title = "The app does not answer", severity = 0, every = "PT5M", window = "PT15M"
      then  = "| where unseen >= 2 and locations >= 2"
      about = "/api/Health was asked from outside, and neither the app nor its host said a word.", todo = "the-app-does-not-answer"
    }
  } : {})
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
  description             = "${each.value.about} What to do: docs/runbook.md#${each.value.todo}. Query: infra/queries/${each.value.query}.kql"
  location                = azurerm_resource_group.this.location
  resource_group_name     = azurerm_resource_group.this.name
  scopes                  = [try(each.value.workspace, false) ? azurerm_log_analytics_workspace.this.id : azurerm_application_insights.this.id]
  severity                = each.value.severity
  evaluation_frequency    = each.value.every
  window_duration         = each.value.window
  auto_mitigation_enabled = true
  tags                    = local.tags

  criteria {
    query                   = "${local.queries[each.value.query]}${each.value.then}"
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

# Asks for the app's health from outside, from several places: the only witness of an app that is dead. It has no key, and
# keeps an app awake that could scale to zero.
resource "azurerm_application_insights_standard_web_test" "health" {
  count                   = var.web_test ? 1 : 0
  name                    = "webtest-${var.name}-health"
  location                = azurerm_resource_group.this.location
  resource_group_name     = azurerm_resource_group.this.name
  application_insights_id = azurerm_application_insights.this.id
  description             = "Does the app answer? 503 is an answer, too: Kafka is away, which other alerts tell."
  enabled                 = true
  retry_enabled           = true
  frequency               = 300
  timeout                 = 30
  geo_locations           = var.web_test_locations
  tags                    = local.tags

  request {
    url                              = "https://${local.hostname}/api/Health"
    follow_redirects_enabled         = false
    parse_dependent_requests_enabled = false
  }

  validation_rules {
    expected_status_code        = 200
    ssl_check_enabled           = true
    ssl_cert_remaining_lifetime = 7
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
