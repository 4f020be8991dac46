# For the local AWS (local/).
name      = "file-index-local"
workspace = "local"

bucket = {
  create        = true
  force_destroy = true
  versioned     = false
  abort_uploads = false # the provider waits 55 s for a lifecycle configuration
}

table = {
  deletion_protection = false
}
