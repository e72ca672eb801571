terraform {
  required_version = ">= 1.11" # write-only attributes

  required_providers {
    auth0 = {
      source  = "auth0/auth0"
      version = "~> 1.55" # secrets_wo since 1.52, custom_header of event streams since 1.49
    }
  }
}

# AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET say which tenant, and who.
provider "auth0" {}
