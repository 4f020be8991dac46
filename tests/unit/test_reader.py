"""The condition on the sort key, as DynamoDB takes it."""

from hypothesis import given
from hypothesis import strategies as st

from function.ranges import Range
from function.reader import _bounds

texts = st.text("ab\x00\U0010ffff", max_size=3)


@given(of=st.builds(Range, texts, st.none() | texts), prefix=texts, key=texts)
def test_there_is_one_condition_without_empty_or_reversed_bounds(
    of: Range, prefix: str, key: str
) -> None:
    is_within = bool(key) and key in of and key.startswith(prefix)
    bounds = _bounds(of, prefix)
    if bounds is None:
        assert not is_within
        return
    condition, values = bounds
    low, high = (values.get(name, {}).get("S") for name in (":low", ":high"))

    assert "" not in (low, high)
    assert (
        condition
        == {
            (True, True): "#key BETWEEN :low AND :high",
            (True, False): "#key > :low",
            (False, True): "#key <= :high",
            (False, False): "",
        }[low is not None, high is not None]
    )
    if low is not None and high is not None:
        assert low <= high
    # The condition may let through the key before the range, and no other.
    lets_through = bool(key) and (low is None or key >= low) and (high is None or key <= high)
    assert lets_through or not is_within
    if lets_through and key in of:
        assert key.startswith(prefix)
