"""The file of `--report`."""

from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.report_file import opened


def test_without_a_file_nothing_is_written() -> None:
    with opened(None, resumed=False) as report:
        report.write("line")
        report.flush()


def test_a_run_from_the_beginning_replaces_the_report(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("old\n")

    with opened(path, resumed=False) as report:
        report.write("ü")

    assert path.read_text() == "ü\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, "new\n"),
        ("", "new\n"),
        ("old\n", "old\nnew\n"),
        ('old\n{"half', "old\nnew\n"),
        ("one\ntwo\nhalf", "one\ntwo\nnew\n"),
        ("\nhalf", "\nnew\n"),
        ("half", "new\n"),
        ("old\n" + "x" * 10_000, "old\nnew\n"),
        ("x" * 10_000 + "\n" + "y" * 4096, "x" * 10_000 + "\nnew\n"),
        ("x" * 4096 + "\n", "x" * 4096 + "\nnew\n"),
    ],
)
def test_a_resumed_run_appends_to_the_report_after_the_last_full_line(
    tmp_path: Path, old: str | None, new: str
) -> None:
    path = tmp_path / "report"
    if old is not None:
        path.write_text(old)

    with opened(path, resumed=True) as report:
        report.write("new")

    assert path.read_text() == new


def test_lines_before_a_checkpoint_are_on_disk(tmp_path: Path) -> None:
    with opened(tmp_path / "report", resumed=False) as report:
        report.write("line")
        report.flush()

        assert (tmp_path / "report").read_text() == "line\n"


def test_a_full_disk_is_reported_with_the_report() -> None:
    with (
        pytest.raises(CommandError, match=r"^--report /dev/full: No space left on device$"),
        opened(Path("/dev/full"), resumed=False) as report,
    ):
        report.write("line")


@pytest.mark.parametrize("resumed", [False, True])
def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path, resumed: bool) -> None:
    with (
        pytest.raises(CommandError, match=f"--report {tmp_path}: Is a directory"),
        opened(tmp_path, resumed=resumed),
    ):
        pass
