# The deployment's own account as the bucket's, known only after apply.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

resource "terraform_data" "later" {
  input = "111122223333"
}

module "file_index" {
  source = "../../../.."

  name    = "files"
  bucket  = { name = "existing", account = format("%s", terraform_data.later.output) } # never null
  trigger = "external"
}
