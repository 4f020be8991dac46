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

from . import __version__, completion, errors
from .errors import FAILED, INTERRUPTED, PIPE_CLOSED, CommandError
from .help import Program, option
from .options import (
    LOCAL_ENGINE,
    STEP_FUNCTIONS,
    connection_options,
    deployment_options,
    engine_option,
    filter_option,
    human_readable_option,
    json_option,
    no_table_option,
    prefix_argument,
    reading_options,
    report_option,
    resume_option,
    table_options,
    versioned_option,
    writing_options,
)
from .terminal import write_stderr

if TYPE_CHECKING:
    from .target import Target

GRACE_SECONDS = 120.0
_THIS_SHELL = "this"


def _install_completion(context: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is None or context.resilient_parsing:  # the shell asks for completions
        return
    for line in completion.install(app, "" if shell == _THIS_SHELL else shell):
        write_stderr("{}", line)
    context.exit()


@click.group(
    cls=Program,
    epilog="""
        file-index COMMAND --help
        file-index get s3://reports/2026/q1.json
        file-index status --env prod
    """,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@option(
    "--install-completion",
    metavar=f"[{'|'.join(completion.SHELLS)}]",
    is_flag=False,
    flag_value=_THIS_SHELL,
    is_eager=True,
    expose_value=False,
    callback=_install_completion,
    help="Install completion for a shell and exit.",
    show_default="the shell of $SHELL",
)
def app() -> None:
    """Read an index of files, fill it, verify it and repair it.

    Exit codes: 0 yes, or done; 1 no: no such record, drift found, messages left, not all right; 2
    the command failed or is incomplete; 130 interrupted.
    """


def _target(**chosen: Any) -> "Target":
    """Return the index that the options choose. Denials name the caller of its connection."""
    from .chosen import Chosen
    from .function import denials

    target = Chosen(**chosen).target()
    denials.ask_who_with(partial(target.client, "sts"))
    return target


@app.command(
    epilog="""
        file-index get s3://reports/2026/q1.json
        file-index get s3://reports/2026/q1.json --env prod --json
        file-index get s3://reports/2026/q1.json --table reports-index
    """
)
@click.argument("key", metavar="s3://BUCKET/KEY")
@json_option
@reading_options
def get(key: str, *, as_json: bool, **chosen: Any) -> int:
    """Show the record of an object."""
    from . import get as command

    target = _target(**chosen)
    return command.get(target, target.objects(key), as_json=as_json)


@app.command(
    epilog="""
        file-index ls s3://reports/2026/
        file-index ls s3://reports --recursive --summarize --human-readable
        file-index ls s3://reports --recursive --json --env prod
    """
)
@prefix_argument
@option("--recursive", is_flag=True, help="List every key below the prefix, not one level.")
@option("--summarize", is_flag=True, help="Add the number and total size of the objects.")
@human_readable_option
@json_option
@reading_options
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


@app.command(
    epilog="""
        file-index du s3://reports --human-readable
        file-index du s3://reports/2026/ --depth 3 --env prod
        file-index du s3://reports --depth 0 --json
    """
)
@prefix_argument
@option(
    "--depth",
    type=click.IntRange(min=0),
    metavar="LEVELS",
    default=1,
    show_default=True,
    help="Levels of directories below the prefix. 0 shows the prefix alone.",
)
@human_readable_option
@json_option
@reading_options
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


@app.command(
    epilog="""
        file-index backfill s3://reports --dry-run
        file-index backfill s3://reports/2026/ --env prod --report failed.jsonl
        file-index backfill s3://reports --engine step-functions
    """
)
@prefix_argument
@engine_option
@resume_option
@json_option
@option(
    "--dry-run",
    is_flag=True,
    heading=LOCAL_ENGINE,
    help="Count what would be written, and write nothing.",
)
@report_option("each object that failed")
@deployment_options
@table_options
@filter_option("Only with --table.")
@writing_options
@versioned_option
@connection_options
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
    and what events write meanwhile, are left alone.

    Exit codes: 0 done; 1 no object has the prefix; 2 some objects failed, or the command stopped.
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


@app.command(
    epilog="""
        file-index verify s3://reports --report drift.jsonl
        file-index verify s3://reports/2026/ --env prod --repair
        file-index verify s3://reports --engine step-functions
    """
)
@prefix_argument
@engine_option
@option("--repair", is_flag=True, help="Repair each key that differs.")
@resume_option
@json_option
@option(
    "--versions",
    is_flag=True,
    heading=LOCAL_ENGINE,
    help="Compare version ids too, in a versioned bucket.",
)
@option(
    "--grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    heading=LOCAL_ENGINE,
    show_default=f"{GRACE_SECONDS:g}",
    help="Check a difference again after this time, because its event may be late.",
)
@report_option("each difference and each failure")
@deployment_options
@table_options
@filter_option(
    "Without --table, these replace the filters in the outputs, but only with --engine local and"
    " without --repair."
)
@writing_options
@connection_options
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

    Lines are not in key order if several cores work.

    Exit codes: 0 no difference; 1 differences, repaired or not; 2 some keys could not be compared
    or repaired, or the command stopped.
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


@app.command(
    epilog="""
        file-index redrive --dry-run
        file-index redrive --env prod
    """,
    short_help="Replay the messages of the dead-letter queue.",
)
@option("--dry-run", is_flag=True, help="Only count the messages.")
@json_option
@deployment_options
@connection_options
@no_table_option
def redrive(*, dry_run: bool, as_json: bool, **chosen: Any) -> int:
    """Show the messages of the dead-letter queue by cause, then replay them.

    Exit codes: 0 nothing is left; 1 messages are left; 2 the command stopped.
    """
    from . import redrive as command

    target = _target(**chosen)
    return command.redrive(target, dry_run=dry_run, as_json=as_json)


@app.command(
    epilog="""
        file-index status
        file-index status --env prod --json
    """
)
@json_option
@deployment_options
@connection_options
@no_table_option
def status(*, as_json: bool, **chosen: Any) -> int:
    """Show whether everything is all right with a deployment.

    The checks are the last proof that index and bucket are equal, dead letters, waiting events, and
    alarms.

    Exit codes: 0 nothing is wrong; 1 something is wrong; 2 a check could not be made.
    """
    from . import status as command

    return command.status(_target(**chosen), as_json=as_json)


def _check_local(options: Mapping[str, object]) -> None:
    """Raise CommandError if an option is given that only the local engine has."""
    for name, value in options.items():
        if value:
            raise CommandError(f"{name} only goes with --engine local: leave it out")


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
    if instruction := os.environ.get(completion.VARIABLE):
        return completion.answer(app, instruction)
    # app.main would answer an interrupt and a closed pipe itself, with exit code 1: "no".
    try:
        with app.make_context(completion.PROGRAM, list(arguments)) as context:
            code: int = app.invoke(context)
            return code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as shown:  # --help, and other options that end the program
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
