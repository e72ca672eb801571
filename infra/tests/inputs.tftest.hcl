# What a tired person would type. All of it is refused before anything is made. Each run has one mistake for a variable, and
# every variable that is named must be refused.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
  location        = "westeurope"
}

run "mistakes_1" {
  command = plan

  variables {
    subscription_id    = "my subscription"             # a name for an id
    location           = "West Europe"                 # the region's display name
    name               = "abcdefghijklm"               # too long for the vault
    suffix             = "123456789"                   # too long
    environment        = "my environment"              # azd takes no spaces
    topic              = "user/events"                 # no topic has it
    event_hubs         = { max_throughput_units = 41 } # more than there are
    kafka              = { brokers = [] }              # no broker
    settings           = { AzureWebJobsStorage = "" }  # the host would take it
    instance_memory_mb = 1024                          # not offered
    http_concurrency   = 4                             # the platform's own, far too low
    zone_redundant     = true                          # one instance in two zones
    network            = "Private"                     # not offered
    network_cidr       = "10.118.0.0/25"               # too small
    web_test_locations = ["emea-nl-ams-azr"]           # one place alone
    allowed_ips        = ["203.0.113.7"]               # no CIDR
    alert_emails       = ["oncall"]                    # no address
    log_retention_days = 7                             # less than there is
    daily_quota_gb     = 0                             # no telemetry at all
  }

  expect_failures = [var.subscription_id, var.location, var.name, var.suffix, var.environment, var.topic, var.event_hubs, var.kafka, var.settings, var.instance_memory_mb, var.http_concurrency, var.always_ready, var.network, var.network_cidr, var.web_test_locations, var.allowed_ips, var.alert_emails, var.log_retention_days, var.daily_quota_gb]
}

run "mistakes_2" {
  command = plan

  variables {
    name                = "user-relay"                     # not for a storage account
    event_hubs          = { throughput_units = 5 }         # begins above the maximum
    kafka               = { brokers = ["b1.example.com"] } # no port
    settings            = { KAFKA_SASL_PASSWORD = "x" }    # belongs into the vault
    always_ready        = 21                               # more than it may be
    network_cidr        = "10.118.0.7/24"                  # no network
    web_test_locations  = ["Amsterdam", "Dublin"]          # not their names
    storage_replication = "RAGRS"                          # not offered
    allowed_ips         = ["0.0.0.0/0"]                    # everybody
  }

  expect_failures = [var.name, var.event_hubs, var.kafka, var.settings, var.always_ready, var.network_cidr, var.web_test_locations, var.storage_replication, var.allowed_ips]
}

run "mistakes_3" {
  command = plan

  variables {
    event_hubs          = { partitions = 33 }                                              # beyond the tier
    kafka               = { brokers = ["b1.example.com:9092"], sasl_mechanism = "GSSAPI" } # not supported
    settings            = { FUNCTIONS_WORKER_RUNTIME = "custom" }                          # kills the app
    zone_redundant      = true
    always_ready        = 2
    maximum_instances   = 1                                    # fewer than are always there
    network_cidr        = "2001:db8::/24"                      # no IPv4
    storage_replication = "LRS"                                # zones, and storage without
    allowed_ips         = ["203.0.113.7/32", "203.0.113.7/32"] # twice
  }

  expect_failures = [var.event_hubs, var.kafka, var.settings, var.maximum_instances, var.network_cidr, var.storage_replication, var.allowed_ips]
}

run "mistakes_4" {
  command = plan

  variables {
    event_hubs = { retention_hours = 169 }                                                                                                  # beyond the tier
    kafka      = { brokers = ["b1.example.com:9092"], security_protocol = "SASL_PLAINTEXT", sasl_mechanism = "PLAIN", sasl_username = "u" } # a password unencrypted
    settings   = { OTHER = "Endpoint=sb://x/;SharedAccessKey=y" }                                                                           # a secret

    always_ready      = 0
    drain_trigger     = false # nobody drains
    maximum_instances = 0     # nobody works
    rolling_update    = true  # nothing to replace in batches
  }

  expect_failures = [var.event_hubs, var.kafka, var.settings, var.drain_trigger, var.maximum_instances, var.rolling_update]
}

run "mistakes_5" {
  command = plan

  variables {
    kafka    = { brokers = ["b1.example.com:9092"], sasl_mechanism = "PLAIN" } # a login without a user
    settings = { "AUTH0 TENANT" = "example" }                                  # no name of a setting
  }

  expect_failures = [var.kafka, var.settings]
}

run "mistakes_6" {
  command = plan

  variables {
    kafka = { brokers = ["b1.example.com:9092"], sasl_username = "u" } # a user without a login
  }

  expect_failures = [var.kafka]
}

run "mistakes_7" {
  command = plan

  variables {
    kafka = { brokers = ["b1.example.com:9092"], security_protocol = "SASL_SSL" } # a login, but which?
  }

  expect_failures = [var.kafka]
}

run "mistakes_8" {
  command = plan

  variables {
    kafka = { brokers = ["b1.example.com:9092"], security_protocol = "SSL", sasl_mechanism = "PLAIN", sasl_username = "u" } # a login that the protocol does not have
  }

  expect_failures = [var.kafka]
}

run "mistakes_9" {
  command = plan

  variables {
    kafka = { brokers = ["b1.example.com:9092"], oauth_scope = "api://kafka/.default" } # tokens without their mechanism
  }

  expect_failures = [var.kafka]
}

run "mistakes_10" {
  command = plan

  variables {
    kafka = { brokers = ["b1.example.com:9092"], tls_ca = "-----BEGIN PRIVATE KEY-----" } # a private key
  }

  expect_failures = [var.kafka]
}
