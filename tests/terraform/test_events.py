"""The events that delivery.tf asks for, and what the function makes of them."""

import re

import pytest

from function.event_parser import parse
from function.events import Change, change_of
from tests.payloads import eventbridge
from tools.module_copy import ROOT

DELIVERY = (ROOT / "delivery.tf").read_text()
EVENTS = re.findall(r'"s3:([\w:]+?)(?::\*)?"', DELIVERY)
DETAIL_TYPES = re.findall(r'"(Object [A-Z][\w ]+)"', DELIVERY)


@pytest.mark.parametrize("name", EVENTS)
def test_a_notification_has_no_events_that_the_function_ignores(name: str) -> None:
    assert change_of(name) is not Change.UNRELATED


@pytest.mark.parametrize("detail_type", DETAIL_TYPES)
def test_a_rule_matches_no_events_that_the_function_ignores(detail_type: str) -> None:
    (message,) = parse(eventbridge(detail_type, "a.txt"))

    assert message.events[0].change is not Change.UNRELATED


def test_events_and_detail_types_are_found() -> None:
    assert EVENTS
    assert DETAIL_TYPES
