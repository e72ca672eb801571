locals {
  # Queries that a person fills in: the example in the file gives way to a parameter of the workbook.
  filled = {
    find-user   = replace(local.queries.find-user, "auth0|61de2511fd334200aa221dff", "{UserId}")
    transaction = replace(local.queries.transaction, "0af7651916cd43dd8448eb211c80319c", "{Operation}")
  }

  # The parts of the workbook, in order. `time` is how far back they look: the workbook's own choice, or days. Each query ends
  # at its own limit, so a longer choice shows no more.
  workbook = [
    { query = "flow", title = "What comes in, and where it is stored", show = "timechart", time = 0 },
    { query = "answers", title = "What callers are answered", show = "table", time = 0 },
    { query = "latency", title = "How long Kafka takes to store a record (ms)", show = "timechart", time = 0 },
    { query = "outbox", title = "Outbox: in, out, and what is in it (balance), 7 days", show = "timechart", time = 7 },
    { query = "outbox-waiting", title = "Outbox: what has waited for more than 5 minutes", show = "table", time = 1 },
    { query = "received-never-stored", title = "Stored nowhere", show = "table", time = 1 },
    { query = "poisoned", title = "In the poison queue", show = "table", time = 1 },
    { query = "failed-forwards", title = "Failures of Kafka by class", show = "table", time = 0 },
    { query = "unanswered", title = "The app was silent", show = "table", time = 1 },
    { query = "requests-without-telemetry", title = "Requests without telemetry", show = "table", time = 1 },
    { query = "lost-telemetry", title = "Telemetry that was lost", show = "table", time = 1 },
    { query = "sampled", title = "Telemetry that was sampled (there should be none)", show = "table", time = 1 },
  ]

  workbook_items = concat(
    [
      {
        type = 1
        name = "about"
        content = {
          json = "# ${var.name}: registrations\nThe same queries are in the project's folder infra/queries and in the alerts. Times are UTC."
        }
      },
      {
        type = 9
        name = "parameters"
        content = {
          version      = "KqlParameterItem/1.0"
          style        = "pills"
          queryType    = 0
          resourceType = "microsoft.insights/components"
          parameters = [
            {
              id           = uuidv5("url", "userrelay/workbook/Time")
              version      = "KqlParameterItem/1.0"
              name         = "Time"
              label        = "Time (24 hours at most)"
              type         = 4
              isRequired   = true
              value        = { durationMs = 86400000 }
              typeSettings = { selectableValues = [for hours in [1, 4, 12, 24] : { durationMs = hours * 3600000 }], allowCustom = true }
            },
            {
              id      = uuidv5("url", "userrelay/workbook/UserId")
              version = "KqlParameterItem/1.0"
              name    = "UserId"
              label   = "User id"
              type    = 1
            },
          ]
        }
      },
      # On top, since it is what people open the workbook for.
      {
        type                  = 3
        name                  = "find-user"
        conditionalVisibility = { parameterName = "UserId", comparison = "isNotEqualTo", value = "" }
        content = {
          version             = "KqlItem/1.0"
          title               = "What became of {UserId}, 30 days; click on a row for all of its transaction"
          query               = local.filled.find-user
          queryType           = 0
          resourceType        = "microsoft.insights/components"
          size                = 0
          visualization       = "table"
          timeContext         = { durationMs = 30 * 86400000 }
          exportFieldName     = "operation_Id"
          exportParameterName = "Operation"
        }
      },
      {
        type                  = 3
        name                  = "transaction"
        conditionalVisibility = { parameterName = "Operation", comparison = "isNotEqualTo", value = "" }
        content = {
          version       = "KqlItem/1.0"
          title         = "Transaction {Operation}"
          query         = local.filled.transaction
          queryType     = 0
          resourceType  = "microsoft.insights/components"
          size          = 0
          visualization = "table"
          timeContext   = { durationMs = 30 * 86400000 }
        }
      },
    ],
    [for part in local.workbook : {
      type = 3
      name = part.query
      content = { for member, value in {
        version                  = "KqlItem/1.0"
        title                    = part.title
        query                    = local.queries[part.query]
        queryType                = 0
        resourceType             = "microsoft.insights/components"
        size                     = 0
        visualization            = part.show
        timeContext              = part.time == 0 ? null : { durationMs = part.time * 86400000 }
        timeContextFromParameter = part.time == 0 ? "Time" : null
      } : member => value if value != null }
    }],
  )
}

resource "azurerm_application_insights_workbook" "this" {
  name                = uuidv5("url", "userrelay/workbook/${var.subscription_id}/${var.name}/${local.suffix}")
  location            = azurerm_resource_group.this.location
  resource_group_name = azurerm_resource_group.this.name
  display_name        = "${var.name}: registrations"
  source_id           = lower(azurerm_application_insights.this.id)
  tags                = local.tags

  data_json = jsonencode({
    version             = "Notebook/1.0"
    items               = local.workbook_items
    fallbackResourceIds = [lower(azurerm_application_insights.this.id)]
  })
}
