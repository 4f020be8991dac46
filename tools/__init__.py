"""Terraform from Python, and the programs that `make` runs.

`module_copy` and `terraform_init` are libraries of `local/` and of the tests. `make` runs
`look_before_destroy` and `package`.
"""
