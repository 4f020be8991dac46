"""The index that a command works on."""

import os

import pytest

from cli.chosen import filters_of
from cli.deployment import Deployment
from cli.errors import CommandError
from cli.function.filters import Filter, Filters
from cli.main import execute
from cli.target import Target
from tests.unit.cli.deployments import CONNECTION, deployed, table

TARGET = deployed(filters=[{"prefix": "in/", "suffix": ".csv"}])


def test_the_filters_come_from_the_deployment() -> None:
    assert TARGET.bucket == "reports"
    assert TARGET.filters == Filters((Filter("in/", ".csv"),))
    assert not TARGET.filters_are_chosen


@pytest.mark.parametrize("versioned", [False, True])
def test_a_deployment_says_whether_the_bucket_has_versions(versioned: bool) -> None:
    assert deployed(bucket={"name": "reports", "versioned": versioned}).versioned is versioned


def test_options_override_the_deployments_filters() -> None:
    deployment = TARGET.deployment
    assert deployment

    target = Target.of(deployment, CONNECTION, filters_of(["a"]))

    assert (target.filters, target.filters_are_chosen) == (Filters((Filter("a"),)), True)


def test_a_table_has_no_bucket() -> None:
    assert table("files").bucket is None


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("ls", "s3://reports", "--partitions", "2"), "--partitions only goes with --table"),
        (("verify", "s3://reports", "--object-metadata"), "--object-metadata only goes with"),
        (
            ("backfill", "s3://reports", "--filter", "a"),
            "would insert objects that the deployment does not",
        ),
        (("verify", "s3://reports", "--filter", "a", "--repair"), "leave --filter out, and"),
        (("ls", "s3://reports", "--table", ""), "--table is empty"),
        (
            ("verify", "s3://reports", "--table", "t", "--object-tags"),
            "file-index: --object-tags is set without --object-metadata: set both, or leave"
            " --object-tags out\n",
        ),
        (
            ("ls", "s3://reports", "--table", "t", "--partitions", "100000"),
            "--partitions is 100000: expected a whole number from 1 to 99999",
        ),
        (("verify", "s3://reports", "--tombstone-days", "31"), "--tombstone-days only goes with"),
        (("verify", "s3://reports", "--object-tags"), "--object-tags only goes with"),
        (("backfill", "s3://reports", "--versioned"), "--versioned only goes with --table"),
        (("ls", "s3://reports", "--table", "t", "--env", "e"), "--table and --env name two"),
        (("get", "s3://reports", "--table", "t", "--index", "i"), "--table and --index name two"),
        (("verify", "s3://reports", "--grace", "nan"), "--grace is nan: expected a number of"),
        (("verify", "s3://reports", "--grace", "inf"), "--grace is inf: expected a number of"),
        (("redrive", "--index", "i"), "--index i was asked for"),
        (("get", "s3://reports/a", "--index", "i"), "--index i was asked for"),
        (("backfill", "s3://reports", "--index", "i"), "--index i was asked for"),
        (("verify", "s3://reports", "--index", "i"), "--index i was asked for"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    refusal: str,
) -> None:
    def find(_: str | None, index: str | None) -> Deployment:
        if index:
            raise CommandError(f"--index {index} was asked for")
        assert TARGET.deployment
        return TARGET.deployment

    monkeypatch.setattr("cli.chosen.find", find)

    environment = dict(os.environ)
    code = execute(arguments)

    messages = capsys.readouterr().err
    assert (code, refusal in messages) == (2, True), messages
    assert dict(os.environ) == environment


def test_a_bucket_other_than_the_deployments_is_refused() -> None:
    target = TARGET

    with pytest.raises(CommandError, match="watches bucket reports, not other"):
        target.objects("s3://other/a")
    with pytest.raises(CommandError, match=r"is an access point, .* use s3://reports/KEY"):
        target.watched("s3://reports-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias/in/a")
    with pytest.raises(CommandError, match=r"nothing below s3://reports/out is watched: .*in/\*"):
        target.watched("s3://reports/out")
    assert target.watched("s3://reports/i").path == "i"
    assert target.watched("s3://reports/in/2026").path == "in/2026"
