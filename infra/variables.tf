variable "subscription_id" {
  description = "The subscription that everything goes into."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id must be a GUID in lower case, as `az account show --query id -o tsv` prints it."
  }
}

variable "location" {
  description = "The region, as `az functionapp list-flexconsumption-locations` names it, such as westeurope."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,29}$", var.location))
    error_message = "location must be a region's short name, such as westeurope: lower-case letters and digits."
  }
}

variable "name" {
  description = "Part of the name of every resource."
  type        = string
  default     = "userrelay"

  # st<name><8 digits> and kv-<name>-<8 digits> may have 24 characters.
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,11}$", var.name))
    error_message = "name must be 3 to 12 lower-case letters or digits and begin with a letter."
  }
}

variable "suffix" {
  description = "What makes the names unique in the world. Made of subscription, name and region unless you set it, for instance because a deleted vault still holds the old name."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9]{4,8})?$", var.suffix))
    error_message = "suffix must be empty or 4 to 8 lower-case letters or digits."
  }
}

variable "environment" {
  description = "The name of azd's environment, which azd fills in. Empty without azd."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9()_.-]{0,64}$", var.environment))
    error_message = "environment must be a name as azd has it: at most 64 letters, digits and ( ) _ . -"
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}

variable "topic" {
  description = "The Kafka topic. With Event Hubs, the event hub that is made for it."
  type        = string
  default     = "user-events"

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9._-]{0,247}[A-Za-z0-9])?$", var.topic))
    error_message = "topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -, and begin and end with a letter or digit."
  }
}

variable "event_hubs" {
  description = "The Event Hubs namespace that is made unless `kafka` names a Kafka of your own. See docs/capacity.md for the numbers."
  type = object({
    throughput_units     = optional(number, 1) # to begin with: later Azure has the number
    max_throughput_units = optional(number, 4) # auto-inflate goes up to here, and never down by itself
    partitions           = optional(number, 4) # cannot be changed later
    retention_hours      = optional(number, 168)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.event_hubs.throughput_units >= 1 && var.event_hubs.max_throughput_units <= 40 && var.event_hubs.throughput_units <= var.event_hubs.max_throughput_units
    error_message = "event_hubs: 1 <= throughput_units <= max_throughput_units <= 40."
  }
  validation {
    condition     = var.event_hubs.partitions >= 1 && var.event_hubs.partitions <= 32 && floor(var.event_hubs.partitions) == var.event_hubs.partitions
    error_message = "event_hubs.partitions must be 1 to 32 in the Standard tier."
  }
  validation {
    condition     = var.event_hubs.retention_hours >= 1 && var.event_hubs.retention_hours <= 168
    error_message = "event_hubs.retention_hours must be 1 to 168 in the Standard tier."
  }
}

variable "kafka" {
  description = "A Kafka of your own. Null makes an Event Hubs namespace instead. Secrets do not go in here: they go into the vault that this makes (output secret_commands)."
  type = object({
    brokers            = list(string)              # host:port
    security_protocol  = optional(string, "")      # empty: the handler's default, see docs/settings.md
    sasl_mechanism     = optional(string, "")      # empty: no login
    sasl_username      = optional(string, "")      # its password lies in the vault as kafka-sasl-password
    oauth_scope        = optional(string, "")      # empty: the handler's default
    oauth_extensions   = optional(map(string), {}) # such as logicalCluster of Confluent Cloud
    tls_ca             = optional(string, "")      # PEM of certificates, which are public; empty: the system's
    client_certificate = optional(bool, false)     # certificate and key lie in the vault as kafka-tls-cert and kafka-tls-key
  })
  default = null

  validation {
    condition     = var.kafka == null || try(length(var.kafka.brokers) > 0 && alltrue([for b in var.kafka.brokers : can(regex("^[0-9A-Za-z][0-9A-Za-z.-]*:[1-9][0-9]{0,4}$", b))]), false)
    error_message = "kafka.brokers must have at least one host:port."
  }
  validation {
    condition     = var.kafka == null || contains(["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], try(var.kafka.sasl_mechanism, ""))
    error_message = "kafka.sasl_mechanism must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, or empty."
  }
  # Over the Internet, from a serverless app, nothing goes unencrypted.
  validation {
    condition     = var.kafka == null || contains(["", "SSL", "SASL_SSL"], try(var.kafka.security_protocol, ""))
    error_message = "kafka.security_protocol must be SSL or SASL_SSL, or empty: what leaves the app must be encrypted."
  }
  validation {
    condition     = var.kafka == null || startswith(try(var.kafka.security_protocol, ""), "SASL_") == false || try(var.kafka.sasl_mechanism, "") != ""
    error_message = "kafka.security_protocol SASL_SSL needs kafka.sasl_mechanism."
  }
  validation {
    condition     = var.kafka == null || try(var.kafka.security_protocol, "") != "SSL" || try(var.kafka.sasl_mechanism, "") == ""
    error_message = "kafka.security_protocol SSL takes no kafka.sasl_mechanism."
  }
  validation {
    condition     = var.kafka == null || contains(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], try(var.kafka.sasl_mechanism, "")) == (try(var.kafka.sasl_username, "") != "")
    error_message = "kafka.sasl_username goes with the mechanisms PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, and with no other."
  }
  validation {
    condition     = var.kafka == null || try(var.kafka.sasl_mechanism, "") == "OAUTHBEARER" || (try(var.kafka.oauth_scope, "") == "" && try(length(var.kafka.oauth_extensions), 0) == 0)
    error_message = "kafka.oauth_scope and kafka.oauth_extensions go with the mechanism OAUTHBEARER."
  }
  validation {
    condition     = var.kafka == null || !strcontains(try(var.kafka.tls_ca, ""), "PRIVATE KEY")
    error_message = "kafka.tls_ca holds a private key. Certificates only go in here."
  }
}

variable "settings" {
  description = "More settings of the handler, see docs/settings.md, such as { AUTH0_TENANT = \"example\", RECORD_PROFILE = \"id\" }. They are no place for secrets: everybody who may read the app or Terraform's state sees them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Za-z_][A-Za-z0-9_.]*$", name))])
    error_message = "settings: a name must consist of letters, digits, _ and a dot."
  }
  validation {
    condition = alltrue([for name in keys(var.settings) :
      !can(regex("(?i)^(AzureWebJobsStorage|APPLICATIONINSIGHTS_|APPINSIGHTS_|AZURE_CLIENT_|KAFKA_(BROKERS|TOPIC|SASL|SECURITY|OAUTH|TLS)|FUNCTIONS_|WEBSITE_)", name))
    ])
    error_message = "settings: AzureWebJobsStorage*, APPLICATIONINSIGHTS_*, AZURE_CLIENT_*, KAFKA_* of the connection, FUNCTIONS_* and WEBSITE_* are set by this configuration or must not be set on this plan."
  }
  validation {
    condition     = alltrue([for value in values(var.settings) : !can(regex("(?i)(AccountKey=|SharedAccessKey=|SharedAccessSignature|PRIVATE KEY|password=|[?&]sig=)", value))])
    error_message = "settings: a value looks like a secret. Secrets go into the vault."
  }
}

variable "instance_memory_mb" {
  description = "Memory of an instance; processors come with it."
  type        = number
  default     = 2048

  validation {
    condition     = contains([512, 2048, 4096], var.instance_memory_mb)
    error_message = "instance_memory_mb must be 512, 2048 or 4096."
  }
}

variable "http_concurrency" {
  description = "Requests that the platform lets into an instance at a time before it adds another. See docs/capacity.md."
  type        = number
  default     = 200

  validation {
    condition     = var.http_concurrency >= 16 && var.http_concurrency <= 1000 && floor(var.http_concurrency) == var.http_concurrency
    error_message = "http_concurrency must be 16 to 1000."
  }
}

variable "always_ready" {
  description = "Instances for requests that run all the time, billed all the time. 0: the first request after a pause waits for a start."
  type        = number
  default     = 1

  validation {
    condition     = var.always_ready >= 0 && var.always_ready <= 20 && floor(var.always_ready) == var.always_ready
    error_message = "always_ready must be 0 to 20."
  }
  validation {
    condition     = !var.zone_redundant || var.always_ready != 1
    error_message = "always_ready must be 0 or at least 2 where zone_redundant is set: the platform keeps two."
  }
}

variable "maximum_instances" {
  description = "Most instances of each function group: of RegisterUser with Health and Version, and of DrainOutbox."
  type        = number
  default     = 40

  validation {
    condition     = var.maximum_instances >= 1 && var.maximum_instances <= 1000 && floor(var.maximum_instances) == var.maximum_instances
    error_message = "maximum_instances must be 1 to 1000."
  }
  validation {
    condition     = var.maximum_instances >= var.always_ready
    error_message = "maximum_instances must be at least always_ready."
  }
}

variable "drain_trigger" {
  description = "Whether the queue's trigger wakes an app that has scaled to zero. Null: where no instance is always ready. Elsewhere the handler drains by itself, and the trigger would only be billed (docs/capacity.md)."
  type        = bool
  default     = null

  validation {
    condition     = var.drain_trigger != false || var.always_ready > 0
    error_message = "drain_trigger must not be off where always_ready is 0: nobody would drain an app that sleeps."
  }
}

variable "rolling_update" {
  description = "Replace instances in batches at an update, so that what is under way gets its answer (RollingUpdate, a preview). It counts from the next update on."
  type        = bool
  default     = false

  validation {
    condition     = !var.rolling_update || var.always_ready >= 2
    error_message = "rolling_update needs always_ready of 2 at least: one instance alone has a gap all the same."
  }
}

variable "network" {
  description = "public: every service takes tokens only. private: blob, queue, vault and Event Hubs also have no public address, and the app reaches them through a virtual network."
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "private"], var.network)
    error_message = "network must be public or private."
  }
}

variable "network_cidr" {
  description = "Addresses of the virtual network, with network = \"private\": a /24 or larger, half of it for the app's instances. Nothing else may use them where the network is to be peered."
  type        = string
  default     = "10.118.0.0/24"

  validation {
    condition     = can(cidrhost(var.network_cidr, 0)) && try(tonumber(split("/", var.network_cidr)[1]) >= 16 && tonumber(split("/", var.network_cidr)[1]) <= 24, false) && try(cidrhost(var.network_cidr, 0) == split("/", var.network_cidr)[0], false)
    error_message = "network_cidr must be a network of IPv4 such as 10.118.0.0/24, from /16 to /24."
  }
}

variable "web_test" {
  description = "Whether Azure asks for the app's health from outside every five minutes, which is the only alarm for a dead app. It keeps an app awake that could scale to zero."
  type        = bool
  default     = true
}

variable "web_test_locations" {
  description = "Where the web test asks from: two places at least, for one alone may have troubles of its own."
  type        = list(string)
  default     = ["emea-nl-ams-azr", "emea-gb-db3-azr", "us-va-ash-azr"]
  nullable    = false

  validation {
    condition     = length(distinct(var.web_test_locations)) >= 2 && alltrue([for place in var.web_test_locations : can(regex("^[a-z]+(-[a-z0-9]+)+$", place))])
    error_message = "web_test_locations must be at least two of Application Insights' locations, such as emea-nl-ams-azr."
  }
}

variable "zone_redundant" {
  description = "Spread instances over the region's availability zones. The platform then keeps at least two always ready."
  type        = bool
  default     = false
}

variable "storage_replication" {
  description = "Replication of the account that holds the outbox. LRS where a region has no zones."
  type        = string
  default     = "ZRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS"], var.storage_replication)
    error_message = "storage_replication must be LRS, ZRS, GRS or GZRS."
  }
  validation {
    condition     = !var.zone_redundant || strcontains(var.storage_replication, "ZRS")
    error_message = "storage_replication must be ZRS or GZRS where zone_redundant is set."
  }
}

variable "allowed_ips" {
  description = "Addresses (CIDR) that may call the function. Empty: all, with the function's key. Auth0's are at https://cdn.auth0.com/ip-ranges.json."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for ip in var.allowed_ips : can(cidrhost(ip, 0))])
    error_message = "allowed_ips must be addresses in CIDR notation, such as 203.0.113.7/32."
  }
  validation {
    condition     = !anytrue([for ip in var.allowed_ips : endswith(ip, "/0")])
    error_message = "allowed_ips: /0 allows everybody. Leave the list empty if you mean that."
  }
  validation {
    condition     = length(distinct(var.allowed_ips)) == length(var.allowed_ips) && length(var.allowed_ips) <= 500
    error_message = "allowed_ips must have no address twice, and at most 500."
  }
}

variable "alert_emails" {
  description = "Who is told of alerts. Empty: they are seen in the portal only."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "alert_emails must be e-mail addresses."
  }
}

variable "log_retention_days" {
  description = "How long telemetry is kept. It holds user ids."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days must be 30 to 730."
  }
}

variable "daily_quota_gb" {
  description = "Most telemetry in a day, in GB. What comes after that is lost, so it must be far above what you expect (docs/capacity.md). -1: no limit."
  type        = number
  default     = 5

  validation {
    condition     = var.daily_quota_gb == -1 || var.daily_quota_gb >= 0.1
    error_message = "daily_quota_gb must be -1 or at least 0.1."
  }
}
