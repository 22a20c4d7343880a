# A cluster group and a bundle's strategy, as plain REST: no provider has to be installed, since terraform_data is built in.
#
#   export TF_VAR_group_version=$(./version.sh clustergroups/shops)
#   terraform plan -out plan && terraform apply plan
#
# Names are the stable ids. The version that the plan was made of is the precondition of the change: if somebody has changed the group since, the hub refuses
# with 409, and nothing is done. The credential is a token of the hub in YARDARM_TOKEN, which is in no state and in no plan.

terraform {
  required_version = ">= 1.4"
}

variable "hub" {
  type    = string
  default = "https://hub.example.com:7443"
}

variable "ca" {
  type    = string
  default = "ci/hub-ca.pem"
}

variable "group_version" {
  type        = string
  default     = ""
  description = "the group's version when the plan is made; empty where there is none yet"
}

locals {
  group = {
    apiVersion = "yardarm.dev/v1"
    kind       = "ClusterGroup"
    metadata   = { name = "shops" }
    spec       = { selector = { matchLabels = { kind = "shop" } } }
  }
}

# What the group is: a change makes another one of this, and changes the group in place.
resource "terraform_data" "shops" {
  triggers_replace = local.group

  provisioner "local-exec" {
    command = "${path.module}/apply.sh"
    environment = {
      HUB  = var.hub
      CA   = var.ca
      BODY = jsonencode({ resources = [{ clusterGroup = merge(local.group, { metadata = { name = "shops", resourceVersion = var.group_version } }) }] })
    }
  }
}

# That there is the group: it is deleted when this is, and not when it changes.
resource "terraform_data" "shops_exist" {
  input = { hub = var.hub, ca = var.ca, path = "clustergroups/shops", delete = "${path.module}/delete.sh" }

  provisioner "local-exec" {
    when        = destroy
    command     = self.input.delete
    environment = { HUB = self.input.hub, CA = self.input.ca, RESOURCE = self.input.path }
  }
}
