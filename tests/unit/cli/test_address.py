"""Addresses, and the options that name keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.address import Address, meanings
from cli.chosen import filters_of
from cli.errors import CommandError
from cli.function.filters import Filter, Filters
from cli.terminal import escaped
from tests.unit.cli.test_terminal import hard_texts


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
def test_a_text_that_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="is not an address: use s3://bucket/key"):
        Address.parse(text)


def test_a_key_that_s3_cannot_have_is_refused() -> None:
    with pytest.raises(CommandError, match="longer than 1,024 bytes"):
        Address.parse(f"s3://b/{'ü' * 512}x")


def test_an_address_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(CommandError, match="not valid UTF-8"):
        Address.parse("s3://b/\udcff")


@given(st.lists(hard_texts, min_size=1, max_size=4))
def test_a_key_as_ls_prints_it_means_that_key(parts: list[str]) -> None:
    key = "/".join(parts)
    directory, name = key[: -len(parts[-1])] if parts[-1] else key, parts[-1]

    assert meanings(f"s3://b/{escaped(key)}")[:2][-1] == Address("b", key)
    assert Address("b", key) in meanings(f"s3://b/{directory}{escaped(name)}")


@given(hard_texts)
def test_an_address_means_itself_first(key: str) -> None:
    assert meanings(f"s3://b/{key}")[0] == Address("b", key)


def test_escapes_do_not_count_as_bytes_of_the_key() -> None:
    key = "\x1b" * 1024

    assert meanings(f"s3://b/{escaped(key)}") == [Address("b", key)]
    with pytest.raises(CommandError, match="longer than 1,024 bytes"):
        meanings(f"s3://b/{escaped(key)}x")


@pytest.mark.parametrize(
    ("bucket", "is_one"),
    [
        ("arn:aws:s3:eu-west-1:123456789012:accesspoint", True),
        ("reports-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", True),
        ("my-object-lambda-acc-1a4n8yjrb3kda96f67zwrwiiuse1a--ol-s3", True),
        ("mfzwi23gnjvgw.mrap", True),
        ("arn", False),
        ("my-s3alias-bucket", False),
        ("mrap", False),
    ],
)
def test_access_points_are_told_from_buckets(bucket: str, is_one: bool) -> None:
    assert Address.parse(f"s3://{bucket}/key").is_access_point == is_one


def test_filters_are_written_with_a_star() -> None:
    assert filters_of(["in/*.csv", "a", "*.txt"]) == Filters(
        (Filter("in/", ".csv"), Filter("a", ""), Filter("", ".txt"))
    )
    assert str(filters_of(["in\n/*.csv", "a"])) == "in\n/*.csv, a*"
    with pytest.raises(CommandError, match="more than one"):
        filters_of(["a*b*c"])
