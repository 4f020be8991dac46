name      = "file-index-prod"
workspace = "prod"

bucket = {
  create = true
}

table = {
  deletion_protection = true
}

reconciliation = {
  repair = true
}
