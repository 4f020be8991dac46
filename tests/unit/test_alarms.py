"""The evaluation of alarms that the tests use agrees with CloudWatch's documentation."""

import pytest

from local.alarms import Alarm, State, computed

OK, ALARM, UNKNOWN = State.OK, State.ALARM, State.UNKNOWN
VALUES = {"0": 0.0, "X": 1.0, "-": None}


def alarm(no_data: str, breaching: int = 3, periods: int = 3) -> Alarm:
    return Alarm("GreaterThanThreshold", 0, breaching, periods, no_data)


def last_state(of: Alarm, letters: str) -> State:
    """The state after values as the documentation writes them."""
    return list(of.states([VALUES[letter] for letter in letters.split()]))[-1]


# Both tables of
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
# None: the alarm keeps its state.
@pytest.mark.parametrize(
    ("breaching", "values", "ignore", "no_data_breaching", "not_breaching"),
    [
        (3, "0 - X - X", OK, OK, OK),
        (3, "0 - - - -", OK, OK, OK),
        (3, "- - - - -", None, ALARM, OK),
        (3, "0 X X - X", ALARM, ALARM, ALARM),
        (3, "- - - - X", None, ALARM, OK),
        (3, "X - - - -", None, ALARM, OK),
        (2, "0 - X - X", ALARM, ALARM, ALARM),
        (2, "0 0 X 0 X", ALARM, ALARM, ALARM),
        (2, "0 - X - -", OK, ALARM, OK),
        (2, "- - - - 0", OK, ALARM, OK),
        (2, "- - - - X", None, ALARM, OK),
    ],
)
def test_missing_data_is_treated_as_cloudwatch_documents(
    breaching: int,
    values: str,
    ignore: State | None,
    no_data_breaching: State,
    not_breaching: State,
) -> None:
    assert last_state(alarm("breaching", breaching), values) == no_data_breaching
    assert last_state(alarm("notBreaching", breaching), values) == not_breaching
    ignoring = alarm("ignore", breaching)
    for before, kept in (("0 0 0", OK), ("X X X", ALARM)):
        # Far enough back, so that only the state remembers it.
        state = ignoring._judge([VALUES[letter] for letter in values.split()], kept)
        assert state == (kept if ignore is None else ignore), before


def test_an_alarm_that_ignores_missing_data_ends_with_the_next_good_value() -> None:
    ignoring = alarm("ignore", breaching=1, periods=1)

    states = list(ignoring.states([None, 1, None, None, None, None, 0, None]))

    assert states == [UNKNOWN, UNKNOWN, ALARM, ALARM, ALARM, ALARM, ALARM, OK, OK]


def test_an_alarm_for_which_missing_data_is_breaching_begins_in_alarm() -> None:
    dead_man = Alarm("LessThanThreshold", 1, 3, 3, "breaching")

    states = list(dead_man.states([None, 1, None, None, None, None, None]))

    assert states == [ALARM, ALARM, OK, OK, OK, OK, OK, ALARM]


def test_values_below_the_limit_end_nothing() -> None:
    assert list(Alarm("LessThanThreshold", 1, 2, 2, "breaching").states([1, 0, 0])) == [
        ALARM,
        OK,
        OK,
        ALARM,
    ]


def test_an_alarm_fires_only_if_it_was_not_firing() -> None:
    dead_man = Alarm("LessThanThreshold", 1, 1, 1, "breaching")

    assert not dead_man.fires([None, None])
    assert not dead_man.fires([None, 1])
    assert dead_man.fires([1, 0])


def test_a_setting_that_the_module_does_not_use_is_not_guessed() -> None:
    with pytest.raises(NotImplementedError, match="missing"):
        alarm("missing").fires([])
    with pytest.raises(NotImplementedError, match="GreaterThanOrEqualToThreshold"):
        Alarm("GreaterThanOrEqualToThreshold", 0, 1, 1, "ignore").fires([1])


@pytest.mark.parametrize(
    ("expression", "measured", "value"),
    [
        ("FILL(m, 0)", {"m": None}, 0),
        ("FILL(m, 0)", {"m": 2.0}, 2),
        ("a + b", {"a": None, "b": None}, None),
        ("a + b", {"a": None, "b": 2.0}, 2),
        ("a + b", {"a": 3.0, "b": 2.0}, 5),
        ("a + b", {"a": 0.0, "b": None}, 0),
    ],
)
def test_an_expression_counts_a_missing_value_as_zero_if_another_is_there(
    expression: str, measured: dict[str, float | None], value: float | None
) -> None:
    assert computed(expression, measured) == value
