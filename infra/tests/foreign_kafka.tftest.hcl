# A Kafka of one's own: its secrets lie in a vault, and Terraform never sees them.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
  location        = "westeurope"
  name            = "abcdefghijkl" # the longest
  kafka = {
    brokers        = ["b1.example.com:9092", "b2.example.com:9092"]
    sasl_mechanism = "SCRAM-SHA-512"
    sasl_username  = "userrelay"
  }
}

run "password" {
  assert {
    condition     = length(azurerm_eventhub_namespace.this) == 0 && length(azurerm_eventhub.topic) == 0
    error_message = "no Event Hubs"
  }
  assert {
    condition     = length(azurerm_key_vault.this[0].name) <= 24 && length(azurerm_storage_account.this.name) <= 24
    error_message = "the longest name fits"
  }
  assert {
    condition     = azurerm_key_vault.this[0].rbac_authorization_enabled && azurerm_key_vault.this[0].purge_protection_enabled && azurerm_key_vault.this[0].soft_delete_retention_days == 90
    error_message = "the vault: roles only, protected from purging"
  }
  assert {
    condition     = azurerm_key_vault.this[0].tenant_id == "33333333-3333-3333-3333-333333333333"
    error_message = "the vault's tenant"
  }
  assert {
    condition = { for name, r in azurerm_role_assignment.app : name => [r.scope, regex("[^/]+$", r.role_definition_id)] if !contains(["blob", "outbox", "poison", "telemetry"], name) } == {
      secrets = [azurerm_key_vault.this[0].id, "4633458b-17de-408a-b874-0445c86b69e6"]
    }
    error_message = "one role more, on the vault, and none on Event Hubs"
  }
  assert {
    condition = { for name, value in jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).appSettings.value : name => value if startswith(name, "KAFKA_") } == {
      KAFKA_BROKERS        = "b1.example.com:9092,b2.example.com:9092"
      KAFKA_SASL_MECHANISM = "SCRAM-SHA-512"
      KAFKA_SASL_PASSWORD  = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/kafka-sasl-password)"
      KAFKA_SASL_USERNAME  = "userrelay"
      KAFKA_TOPIC          = "user-events"
    }
    error_message = "the password is a reference to the vault"
  }
  assert {
    condition     = output.secret_commands == "az keyvault secret set --subscription ${var.subscription_id} --vault-name ${azurerm_key_vault.this[0].name} --name kafka-sasl-password --file kafka-sasl-password.txt"
    error_message = "how to put the password in, into the vault of this subscription"
  }
  assert {
    condition     = strcontains(output.secrets_officer_command, "--role 'Key Vault Secrets Officer'") && endswith(output.secrets_officer_command, " --scope ${azurerm_key_vault.this[0].id}")
    error_message = "who may put it in: on the vault alone"
  }
  assert {
    condition     = contains(keys(azurerm_monitor_diagnostic_setting.this), "secrets") && azurerm_monitor_diagnostic_setting.this["secrets"].target_resource_id == azurerm_key_vault.this[0].id
    error_message = "who reads secrets is logged"
  }
}

run "client_certificate" {
  command = plan

  variables {
    kafka = {
      brokers            = ["b1.example.com:9094"]
      client_certificate = true
      tls_ca             = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
    }
  }

  assert {
    condition = { for name, value in jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).appSettings.value : name => value if startswith(name, "KAFKA_") } == {
      KAFKA_BROKERS  = "b1.example.com:9094"
      KAFKA_TLS_CA   = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
      KAFKA_TLS_CERT = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/kafka-tls-cert)"
      KAFKA_TLS_KEY  = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/kafka-tls-key)"
      KAFKA_TOPIC    = "user-events"
    }
    error_message = "certificate and key are references to the vault"
  }
}

run "oauth_of_another_service" {
  command = plan

  variables {
    kafka = {
      brokers           = ["pkc-1.example.com:9092"]
      security_protocol = "SASL_SSL"
      sasl_mechanism    = "OAUTHBEARER"
      oauth_scope       = "api://kafka/.default"
      oauth_extensions  = { identityPoolId = "pool-1", logicalCluster = "lkc-1" }
    }
  }

  assert {
    condition     = length(azurerm_key_vault.this) == 0
    error_message = "no secret, no vault"
  }
  assert {
    condition = { for name, value in jsondecode(azurerm_resource_group_template_deployment.function_app.parameters_content).appSettings.value : name => value if startswith(name, "KAFKA_") } == {
      KAFKA_BROKERS           = "pkc-1.example.com:9092"
      KAFKA_OAUTH_EXTENSIONS  = "identityPoolId=pool-1,logicalCluster=lkc-1"
      KAFKA_OAUTH_SCOPE       = "api://kafka/.default"
      KAFKA_SASL_MECHANISM    = "OAUTHBEARER"
      KAFKA_SECURITY_PROTOCOL = "SASL_SSL"
      KAFKA_TOPIC             = "user-events"
    }
    error_message = "tokens for another service"
  }
}
