# Names of access points, directory buckets and table buckets are refused for an existing bucket too.

variables {
  name    = "files"
  trigger = "external"
}

run "an_alias_of_an_access_point" {
  command = plan

  variables {
    bucket = { name = "reports-metadata12example34-s3alias" }
  }

  expect_failures = [var.bucket]
}

run "an_alias_of_an_object_lambda_access_point" {
  command = plan

  variables {
    bucket = { name = "reports-metadata12example34--ol-s3" }
  }

  expect_failures = [var.bucket]
}

run "a_multi_region_access_point" {
  command = plan

  variables {
    bucket = { name = "mfzwi23gnjvgw.mrap" }
  }

  expect_failures = [var.bucket]
}

run "a_directory_bucket" {
  command = plan

  variables {
    bucket = { name = "reports--usw2-az1--x-s3" }
  }

  expect_failures = [var.bucket]
}

run "a_table_bucket" {
  command = plan

  variables {
    bucket = { name = "reports--table-s3" }
  }

  expect_failures = [var.bucket]
}

run "a_bucket_whose_name_only_contains_such_a_word" {
  command = plan

  variables {
    bucket = { name = "reports-s3alias-copies" }
  }
}
