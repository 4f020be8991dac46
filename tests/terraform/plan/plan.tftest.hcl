# A plan of the variables given on the command line, for test_wiring.py and test_environments.py to read.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

run "plan" {
  command = plan
}
