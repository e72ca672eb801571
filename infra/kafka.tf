locals {
  event_hubs = var.kafka == null

  # The settings of the connection. Empty ones are left out: the handler's defaults hold.
  kafka_settings = { for name, value in local.event_hubs ? {
    KAFKA_BROKERS        = "${azurerm_eventhub_namespace.this[0].name}.servicebus.windows.net:9093"
    KAFKA_SASL_MECHANISM = "OAUTHBEARER"
    } : {
    KAFKA_BROKERS           = join(",", var.kafka.brokers)
    KAFKA_SECURITY_PROTOCOL = var.kafka.security_protocol
    KAFKA_SASL_MECHANISM    = var.kafka.sasl_mechanism
    KAFKA_SASL_USERNAME     = var.kafka.sasl_username
    KAFKA_OAUTH_SCOPE       = var.kafka.oauth_scope
    KAFKA_OAUTH_EXTENSIONS  = join(",", [for name, value in var.kafka.oauth_extensions : "${name}=${value}"])
    KAFKA_TLS_CA            = var.kafka.tls_ca
  } : name => value if value != "" }
}

# Standard is the lowest tier that speaks Kafka.
resource "azurerm_eventhub_namespace" "this" {
  count                        = local.event_hubs ? 1 : 0
  name                         = "evhns-${var.name}-${local.suffix}"
  location                     = azurerm_resource_group.this.location
  resource_group_name          = azurerm_resource_group.this.name
  sku                          = "Standard"
  capacity                     = var.event_hubs.throughput_units
  auto_inflate_enabled         = true
  maximum_throughput_units     = var.event_hubs.max_throughput_units
  local_authentication_enabled = false
  minimum_tls_version          = "1.2"
  tags                         = local.tags

  public_network_access_enabled = !local.private

  lifecycle {
    ignore_changes = [capacity] # auto-inflate has raised it: an apply in the middle of the load must not take it back
  }
}

resource "azurerm_eventhub" "topic" {
  count           = local.event_hubs ? 1 : 0
  name            = var.topic
  namespace_id    = azurerm_eventhub_namespace.this[0].id
  partition_count = var.event_hubs.partitions

  retention_description {
    cleanup_policy          = "Delete"
    retention_time_in_hours = var.event_hubs.retention_hours
  }
}
