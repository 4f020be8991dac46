"""README.md's tables of inputs and outputs are those of the Terraform files."""

import pytest

from tools.readme_tables import README, Input, inputs, written

VARIABLES = """
variable "queue" {
  description = <<-EOT
    A queue; null: none.
    - `size`: the most
      messages, 1 to 10.
    - `limits`: the number above which an alarm fires.
      - `age`, `errors`: in a minute,
  EOT
  type = object({
    size   = number
    limits = optional(object({ age = optional(number, 600), errors = optional(number) }), {})
  })
  default = null
}

variable "filters" {
  description = "Which objects."
  type        = list(object({ prefix = optional(string, "") }))
}
"""


def test_the_readme_has_the_tables_of_the_terraform_files() -> None:
    readme = README.read_text()

    assert readme == written(readme), "run make tables"


def test_each_attribute_has_a_row() -> None:
    assert list(inputs(VARIABLES)) == [
        Input("queue", "object", "null", "A queue; null: none."),
        Input("queue.size", "number", "required", "The most messages, 1 to 10."),
        Input("queue.limits", "object", "{}", "The number above which an alarm fires."),
        Input("queue.limits.age", "number", "600", "In a minute."),
        Input("queue.limits.errors", "number", "null", "In a minute."),
        Input("filters", "list", "required", "Which objects."),
        Input("filters.prefix", "string", '""', ""),
    ]


def test_every_input_and_attribute_is_described() -> None:
    variables = (README.parent / "variables.tf").read_text()

    assert [input_.name for input_ in inputs(variables) if not input_.description] == []


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers <!-- inputs -->"):
        written("# file-index")
