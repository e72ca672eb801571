# The Auth0 side as Terraform has it: what action.yaml, bind.mjs and the event streams' files do.

locals {
  stream_name = "userrelay"
}

resource "auth0_action" "registered" {
  count = var.way == "action" ? 1 : 0

  name    = "notify-user-registered"
  runtime = "node22"
  deploy  = true
  code    = file("${path.module}/../actions/notify-user-registered/code.js")

  supported_triggers {
    id      = "post-user-registration"
    version = "v2"
  }

  secrets_wo {
    name  = "FUNCTION_URL"
    value = var.function_url
  }
  secrets_wo {
    name  = "FUNCTION_KEY"
    value = var.function_key
  }
  secrets_wo {
    name  = "SEND_PROFILE"
    value = tostring(var.send_profile)
  }
  secrets_wo_version = var.secrets_version
}

# Appends one binding and leaves the others. auth0_trigger_actions would own all of them: never use both for one trigger.
resource "auth0_trigger_action" "registered" {
  count = var.way == "action" ? 1 : 0

  trigger   = "post-user-registration"
  action_id = auth0_action.registered[0].id
}

resource "auth0_action" "created" {
  count = var.way == "stream-action" ? 1 : 0

  name    = "notify-user-created"
  runtime = "node22"
  deploy  = true
  code    = file("${path.module}/../actions/notify-user-created/code.js")

  supported_triggers {
    id      = "event-stream"
    version = "v1"
  }

  secrets_wo {
    name  = "FUNCTION_URL"
    value = var.function_url
  }
  secrets_wo {
    name  = "FUNCTION_KEY"
    value = var.function_key
  }
  secrets_wo_version = var.secrets_version
}

# A stream's destination cannot be changed: another Action makes another stream, and what came in between is lost to it. See
# docs/auth0.md, "Who did not arrive".
resource "auth0_event_stream" "action" {
  count = var.way == "stream-action" ? 1 : 0

  name             = "${local.stream_name}-action"
  destination_type = "action"
  subscriptions    = ["user.created"]

  action_configuration {
    action_id = auth0_action.created[0].id
  }
}

resource "auth0_event_stream" "webhook" {
  count = var.way == "stream-webhook" ? 1 : 0

  name             = local.stream_name
  destination_type = "webhook"
  subscriptions    = ["user.created"]

  webhook_configuration {
    webhook_endpoint = var.function_url

    webhook_authorization {
      method                  = "custom_header"
      header_key              = "x-functions-key"
      header_value_wo         = var.function_key
      header_value_wo_version = var.secrets_version
    }
  }
}
