mock_provider "aws" {
  source = "../../mocks"
}

run "the_apply_is_refused" {}
