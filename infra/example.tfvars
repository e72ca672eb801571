# Copy to terraform.tfvars, which is not committed, and fill in. Everything else has a default: variables.tf.
subscription_id = "00000000-0000-0000-0000-000000000000" # az account show --query id -o tsv
location        = "westeurope"

alert_emails = ["oncall@example.com"]

settings = {
  AUTH0_TENANT = "example" # for ce_source, where a request names no tenant
}
