name      = "file-index-dev"
workspace = "dev"

bucket = {
  create        = true
  force_destroy = true
}

table = {
  deletion_protection = false
}
