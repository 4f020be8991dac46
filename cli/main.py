"""The commands of `file-index`.

Each imports what it needs when it runs, because boto3 is slow to load.
"""

import io
import math
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import errors
from .errors import FAILED, INTERRUPTED, PIPE_CLOSED, CommandError
from .options import (
    STEP_FUNCTIONS,
    connection_options,
    deployment_options,
    engine_option,
    human_readable_option,
    index_options,
    json_option,
    no_table_option,
    prefix_argument,
    resume_option,
    writing_options,
)
from .terminal import write_stderr

if TYPE_CHECKING:
    from .target import Target

GRACE_SECONDS = 120.0


@click.group()
def app() -> None:
    """Read an index of files, fill it, verify it and repair it.

    Exit codes: 0 yes or done; 1 no: no such record, drift found, messages left, not all right; 2
    the command failed or is incomplete; 130 interrupted.
    """


def _target(**chosen: Any) -> "Target":
    """Return the index that the options choose. Denials name the caller of its connection."""
    from .chosen import Chosen
    from .function import denials

    target = Chosen(**chosen).target()
    denials.ask_who_with(partial(target.client, "sts"))
    return target


@app.command()
@click.argument("key", metavar="s3://BUCKET/KEY")
@json_option
@index_options
def get(key: str, *, as_json: bool, **chosen: Any) -> int:
    """Show the record of an object."""
    from . import get as command

    target = _target(**chosen)
    return command.get(target, target.objects(key), as_json=as_json)


@app.command()
@prefix_argument
@click.option("--recursive", is_flag=True, help="Every key below the prefix, not one level.")
@click.option("--summarize", is_flag=True, help="Number and total size at the end.")
@human_readable_option
@json_option
@index_options
def ls(
    prefix: str,
    *,
    recursive: bool,
    summarize: bool,
    human_readable: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """List records, as `aws s3 ls` lists objects."""
    from . import ls as command

    target = _target(**chosen)
    return command.ls(
        target,
        target.prefixes(prefix),
        recursive=recursive,
        summarize=summarize,
        human_readable=human_readable,
        as_json=as_json,
    )


@app.command()
@prefix_argument
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Levels of directories below the prefix; 0: the prefix alone.",
)
@human_readable_option
@json_option
@index_options
def du(prefix: str, *, depth: int, human_readable: bool, as_json: bool, **chosen: Any) -> int:
    """Show size and number of objects by directory, from the records.

    A directory comes after those that it contains, and its total includes them. The last line is
    the prefix.
    """
    from . import du as command

    target = _target(**chosen)
    return command.du(
        target,
        target.prefixes(prefix),
        depth=depth,
        human_readable=human_readable,
        as_json=as_json,
    )


@app.command()
@prefix_argument
@engine_option
@resume_option
@click.option("--dry-run", is_flag=True, help="Count what would be written; write nothing.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write each object that failed to this file, as JSON lines.",
)
@json_option
@index_options
@writing_options
@click.option("--versioned", is_flag=True, help="With --table: bucket.versioned.")
def backfill(
    prefix: str,
    *,
    engine: str,
    resume: bool,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Insert a record for every object that has none.

    If records hold object metadata or point to derived files, refresh them all. Existing records,
    and what events write meanwhile, are left alone. Exit code 0: done; 1: no object has the prefix;
    2: some objects failed, or the command stopped.
    """
    from . import backfill as command
    from . import step_functions

    target = _target(**chosen)
    if target.filters_are_chosen:
        raise CommandError(
            "--filter would insert objects that the deployment does not watch: leave it out, and"
            " name a prefix instead"
        )
    address = target.watched(prefix)
    if dry_run and (resume or report):
        raise CommandError("--dry-run only counts: leave --resume and --report out")
    if engine == STEP_FUNCTIONS:
        _check_local({"--dry-run": dry_run, "--report": report})
        return step_functions.backfill(target, address, resume=resume, as_json=as_json)
    target.check_partitions(address.bucket)
    target.check_derived_files(address.bucket)
    return command.backfill(
        target, address, resume=resume, dry_run=dry_run, report=report, as_json=as_json
    )


@app.command()
@prefix_argument
@engine_option
@click.option("--repair", is_flag=True, help="Repair what differs.")
@click.option("--versions", is_flag=True, help="Compare version ids too, in a versioned bucket.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    show_default=str(GRACE_SECONDS),
    help="Seconds after which a difference is checked again: its event may be late.",
)
@resume_option
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write each difference and each failure to this file, as JSON lines.",
)
@json_option
@index_options
@writing_options
def verify(
    prefix: str,
    *,
    engine: str,
    repair: bool,
    versions: bool,
    grace: float | None,
    resume: bool,
    report: Path | None,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Compare index and bucket.

    Exit code 0: no difference; 1: differences, repaired or not; 2: some keys could not be compared
    or repaired, or the command stopped. Lines are not in key order if several cores work.
    """
    from . import step_functions
    from . import verify as command

    if grace is not None and not math.isfinite(grace):
        raise CommandError(f"--grace is {grace}: expected a number of seconds")
    target = _target(**chosen)
    if repair and target.filters_are_chosen:
        raise CommandError(
            "--repair would remove from the index what --filter leaves out: leave --filter out, and"
            " name a prefix instead"
        )
    address = target.watched(prefix)
    if engine == STEP_FUNCTIONS:
        _check_local(
            {
                "--filter": target.filters_are_chosen,
                "--grace": grace is not None,
                "--report": report,
                "--versions": versions,
            }
        )
        return step_functions.verify(target, address, repair=repair, resume=resume, as_json=as_json)
    target.check_partitions(address.bucket)
    if repair:
        target.check_derived_files(address.bucket)
    return command.verify(
        target,
        address,
        repair=repair,
        versions=versions,
        grace=GRACE_SECONDS if grace is None else grace,
        resume=resume,
        report=report,
        as_json=as_json,
    )


@app.command()
@click.option("--dry-run", is_flag=True, help="Only count the messages.")
@json_option
@deployment_options
@connection_options
@no_table_option
def redrive(*, dry_run: bool, as_json: bool, **chosen: Any) -> int:
    """Show the messages of the dead-letter queue by cause, then replay them."""
    from . import redrive as command

    target = _target(**chosen)
    return command.redrive(target, dry_run=dry_run, as_json=as_json)


@app.command()
@json_option
@deployment_options
@connection_options
@no_table_option
def status(*, as_json: bool, **chosen: Any) -> int:
    """Show whether everything is all right with a deployment.

    The last proof that index and bucket are equal, dead letters, waiting events, and alarms. Exit
    code 0: all is as it should be; 1: something is not; 2: some of it could not be found out.
    """
    from . import status as command

    return command.status(_target(**chosen), as_json=as_json)


def _check_local(options: Mapping[str, object]) -> None:
    """Raise CommandError if an option is given that only the local engine has."""
    for option, value in options.items():
        if value:
            raise CommandError(f"{option} only goes with --engine local: leave it out")


def execute(arguments: Sequence[str]) -> int:
    """Run a command. An error becomes a line on standard error and an exit code."""
    try:
        with errors.as_command_errors():
            code = _invoke(arguments)
        sys.stdout.flush()
    except CommandError as error:
        write_stderr("file-index: {}", str(error))
        return FAILED
    except KeyboardInterrupt:
        write_stderr("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe is gone, as after `| head`: the interpreter must not write either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:  # the user's file, or a full disk
        write_stderr("file-index: {}", str(error))
        return FAILED
    except Exception:  # noqa: BLE001 # a bug of ours: its exit code must not say "no"
        traceback.print_exc()
        return FAILED
    return code


def _invoke(arguments: Sequence[str]) -> int:
    # app.main would answer an interrupt and a closed pipe itself, with exit code 1: "no".
    try:
        with app.make_context("file-index", list(arguments)) as context:
            code: int = app.invoke(context)
            return code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as shown:  # --help
        return shown.exit_code


def run() -> None:
    """Run the command that the arguments name, and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The parent may have closed them, as with >&-.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 # as long as the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(execute(sys.argv[1:]))
