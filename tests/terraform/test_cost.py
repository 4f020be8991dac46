"""The costs of alarms that README and docs/cost.md state are those of the alarms that exist."""

import json
import re
from typing import Any

from tests.terraform.terraform import Configuration
from tools.module_copy import ROOT

README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "cost.md").read_text()
COUNTS = {"one": 1, "two": 2, "eight": 8}
CENTS = 10
"""The price of an alarm for each metric that it watches.

https://aws.amazon.com/cloudwatch/pricing/
"""

_ALARMS = "aws_cloudwatch_metric_alarm.alarm"
# An alarm on an expression is billed for each metric in it.
_METRICS = (
    f"sum([for one in {_ALARMS} : "
    "max(1, length([for query in one.metric_query : query if !query.return_data]))])"
)


def cents(dollars: str) -> int:
    return round(float(dollars) * 100)


def run(alarms: int, price: int, **inputs: Any) -> dict[str, Any]:
    """Return a run that fails unless there are so many alarms of this price in cents."""
    return {
        "command": "plan",
        "variables": inputs,
        "assert": [
            {
                "condition": f"${{length({_ALARMS}) == {alarms}}}",
                "error_message": f"${{length({_ALARMS})}} alarms, not {alarms}.",
            },
            {
                "condition": f"${{{_METRICS} * {CENTS} == {price}}}",
                "error_message": f"${{{_METRICS}}} metrics, not {price} cents.",
            },
        ],
    }


def test_the_stated_alarms_and_prices_are_those_of_the_deployment(module: Configuration) -> None:
    ((total, words),) = re.findall(r"at most \$([\d.]+) a month: (\w+) alarms", README)
    stated = re.findall(r"at most \$([\d.]+) a month: \$0\.10 for each of (\w+) alarms", PAGE)
    assert stated == [(total, words)]
    ((price, rule, price_of_rule, proofs, price_of_proofs),) = re.findall(
        r"^\| alarms \| \$([\d.]+); `trigger = \"eventbridge\"` adds (\w+) \(\$([\d.]+)\), "
        r"`reconciliation` with a schedule (\w+) \(\$([\d.]+),",
        PAGE,
        re.MULTILINE,
    )
    (dashboard,) = re.findall(r"^\| dashboard \| \$([\d.]+) \|", PAGE, re.MULTILINE)
    assert cents(total) == cents(price) + cents(dashboard)
    alarms = COUNTS[words]
    runs = {
        "default": run(alarms, cents(price)),
        "eventbridge": run(
            alarms + COUNTS[rule], cents(price) + cents(price_of_rule), trigger="eventbridge"
        ),
        "proofs": run(
            alarms + COUNTS[proofs], cents(price) + cents(price_of_proofs), reconciliation={}
        ),
    }
    fixed = re.findall(r"fixed cost is about \$([\d.]+) a month: \$([\d.]+) for the alarms", PAGE)
    assert fixed == [(*re.findall(r"proofs add about \$([\d.]+)", README), price_of_proofs)]
    directory = module.directory / "tests/terraform/cost"
    directory.mkdir()
    (directory / "cost.tftest.json").write_text(
        json.dumps(
            {
                "mock_provider": {"aws": {"source": "./tests/terraform/mocks"}},
                "variables": {"name": "files", "bucket": {"create": True}},
                "run": runs,
            }
        )
    )

    module.succeed("test", "-test-directory=tests/terraform/cost")
