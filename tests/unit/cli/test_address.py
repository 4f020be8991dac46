"""Addresses, and which keys a deployment watches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.address import Address, Filter, Filters
from cli.errors import CommandError

texts = st.text("ab/", max_size=4)
several = st.lists(st.builds(Filter, texts, texts), min_size=1, max_size=4).map(
    lambda filters: Filters(tuple(filters))
)


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("s3://b/a/b", "b", "a/b"),
        ("s3://b//a ", "b", "/a "),
        ("s3://b/s3://c/\n", "b", "s3://c/\n"),
        (f"s3://b/{'ü' * 512}", "b", "ü" * 512),
    ],
)
def test_an_address_is_a_bucket_and_a_key_as_it_is(text: str, bucket: str, key: str) -> None:
    assert Address.parse(text) == Address(bucket, key)


@pytest.mark.parametrize("text", ["", "b/a", "s3:/b", "s3:///a", "https://b/a", "S3://b/a"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="write s3://bucket/key"):
        Address.parse(text)


def test_a_key_that_s3_cannot_have_is_refused() -> None:
    with pytest.raises(CommandError, match="longer than 1,024 bytes"):
        Address.parse(f"s3://b/{'ü' * 512}x")


def test_what_is_no_utf8_is_refused() -> None:
    with pytest.raises(CommandError, match="not in UTF-8"):
        Address.parse("s3://b/\udcff")


def test_filters_are_written_with_a_star() -> None:
    assert Filters.parse(["in/*.csv", "a", "*.txt"]) == Filters(
        (Filter("in/", ".csv"), Filter("a", ""), Filter("", ".txt"))
    )
    assert str(Filters.parse(["in\n/*.csv"])) == "in\\n/*.csv"
    with pytest.raises(CommandError, match="more than one"):
        Filters.parse(["a*b*c"])


def test_no_filters_watch_everything() -> None:
    assert Filters.of([]).match("any\nkey")
    assert not Filters.of([{"prefix": "in/", "suffix": ""}]).match("other")


@given(filters=several, prefix=texts, key=st.text("ab/", max_size=6))
def test_every_watched_key_below_a_prefix_is_listed_once(
    filters: Filters, prefix: str, key: str
) -> None:
    watched = filters.match(key) and key.startswith(prefix)
    listed = filters.prefixes(prefix)

    assert listed == sorted(listed)
    assert sum(key.startswith(one) for one in listed) == 1 or not watched
    assert sum(key.startswith(one) for one in listed) <= 1
    assert watched == any(
        one.matches(key) for one in filters.within(prefix) if key.startswith(prefix)
    )
