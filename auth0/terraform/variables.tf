variable "function_url" {
  description = "The function's address, without its key: https://…/api/RegisterUser"
  type        = string

  validation {
    condition     = startswith(var.function_url, "https://") && !strcontains(lower(var.function_url), "code=")
    error_message = "It must begin with https:// and have no ?code=…: the key belongs into function_key, which no state keeps."
  }
}

variable "function_key" {
  description = "The function's key. It is written to Auth0 and kept in no state and no plan."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "secrets_version" {
  description = "Add 1 to write function_key, and what else the Actions have as secrets, to Auth0 again: Terraform does not see that a key has changed."
  type        = number
  default     = 1
}

variable "way" {
  description = "How Auth0 tells of users: action (who signs up with a password or without one), stream-action (everybody, ids only), or stream-webhook (everybody, the whole profile)."
  type        = string
  default     = "action"

  validation {
    condition     = contains(["action", "stream-action", "stream-webhook"], var.way)
    error_message = "It must be action, stream-action or stream-webhook."
  }
}

variable "send_profile" {
  description = "Whether the Action sends the profile, which is personal data. An Event Stream's Action never does, its webhook always."
  type        = bool
  default     = false
}
