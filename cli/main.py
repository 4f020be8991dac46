"""The commands of `file-index` and their options."""

import inspect
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from . import backfill as backfilling
from . import errors, job, reading
from . import redrive as redriving
from . import verify as verifying
from .address import Filters
from .deployment import find
from .errors import FAILED, INTERRUPTED, PIPE_CLOSED, CommandError
from .settings import settings_of
from .target import Connection, Target
from .terminal import write_stderr

app = typer.Typer(
    name="file-index",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read an index of files, fill it, prove it right and repair it.\n\n"
    "Exit codes: 0 yes or done; 1 no: no such record, drift found, something left; 2 the command "
    "could not do it; 130 interrupted.",
)


class Engine(StrEnum):
    """What does a backfill."""

    LOCAL = "local"
    BATCH_OPERATIONS = "batch-operations"


Key = Annotated[str, typer.Argument(metavar="s3://BUCKET/KEY", show_default=False)]
Prefix = Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", show_default=False)]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Try again what failed in the last run, and go on where it stopped."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")]

# Options that several commands have: annotation and default.
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "env": (
        Annotated[
            str | None,
            typer.Option(
                help="Workspace of the Terraform configuration in this directory; table, bucket"
                " and filters come from its outputs.",
                show_default="the selected one",
            ),
        ],
        None,
    ),
    "index": (
        Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                help="Which index, if Terraform's outputs hold several.",
                show_default=False,
            ),
        ],
        None,
    ),
    "table": (
        Annotated[str | None, typer.Option(help="A table, without Terraform.")],
        None,
    ),
    "partitions": (
        Annotated[
            int,
            typer.Option(min=1, help="With --table: table.partitions."),
        ],
        1,
    ),
    "filters": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--filter",
                metavar="PREFIX[*SUFFIX]",
                help="Override the deployment's filters. May be repeated.",
                show_default=False,
            ),
        ],
        None,
    ),
    "tombstone_days": (
        Annotated[
            int,
            typer.Option(min=15, help="With --table: table.tombstone_days."),
        ],
        30,
    ),
    "object_metadata": (
        Annotated[
            bool,
            typer.Option(
                "--object-metadata",
                help="With --table: object_metadata.enabled.",
            ),
        ],
        False,
    ),
    "object_tags": (
        Annotated[
            bool,
            typer.Option("--object-tags", help="With --table: object_metadata.tags."),
        ],
        False,
    ),
    "versioned": (
        Annotated[bool, typer.Option("--versioned", help="With --table: bucket.versioned.")],
        False,
    ),
    "profile": (Annotated[str | None, typer.Option(help="AWS profile.")], None),
    "region": (Annotated[str | None, typer.Option(help="AWS Region.")], None),
    "endpoint_url": (
        Annotated[str | None, typer.Option(help="Endpoint of another AWS, such as a local one.")],
        None,
    ),
}
_CONNECTION = ("profile", "region", "endpoint_url")
_SETTINGS = ("partitions", "tombstone_days", "object_metadata", "object_tags")
_OF_A_TABLE = (*_SETTINGS, "versioned")
_READS = ("env", "index", "table", "partitions", "filters", *_CONNECTION)
_WRITES = (*_READS, *_SETTINGS[1:])


def _command(*options: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Make a function a command with these options, from which its first argument is made.

    What the function returns is the exit code.
    """

    def made(command: Callable[..., int]) -> Callable[..., int]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=_OPTIONS[name][0],
                default=_OPTIONS[name][1],
            )
            for name in options
        ]

        def run(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in options}
            raise typer.Exit(_answered(lambda: command(_target(**chosen), **given)))

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
        app.command()(run)
        return command

    return made


def _target(**chosen: Any) -> Target:
    connection = Connection(**{name: chosen[name] for name in _CONNECTION})
    filters = Filters.parse(chosen["filters"]) if chosen.get("filters") else None
    table = chosen.get("table")
    given = {name: chosen[name] for name in _SETTINGS if name in chosen}
    if table == "":
        raise CommandError("--table is empty: name a table, or leave it out")
    for name in ("env", "index"):
        if table and chosen[name]:
            raise CommandError(f"--table and --{name} name two indexes: leave one of them out")
    if table:
        connection.use()
        return Target(
            settings=settings_of(table, **given),
            filters=filters or Filters(),
            versioned=chosen.get("versioned", False),
        )
    for name in _OF_A_TABLE:
        if chosen.get(name, _OPTIONS[name][1]) != _OPTIONS[name][1]:
            raise CommandError(
                f"--{name.replace('_', '-')} only goes with --table: for a deployment it comes from"
                " Terraform"
            )
    deployment = find(chosen["env"], chosen["index"])
    connection.use(deployment.region)
    return Target.of(deployment, filters)


def _answered(command: Callable[[], int]) -> int:
    """Run the command; what goes wrong becomes a line and an exit code."""
    try:
        with errors.as_command_errors():
            code = command()
        sys.stdout.flush()
    except CommandError as error:
        write_stderr("file-index: {}", str(error))
        return FAILED
    except KeyboardInterrupt:
        write_stderr("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more, as after `| head`: nor may the interpreter write at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:  # a file of the user's, a full disk
        write_stderr("file-index: {}", str(error))
        return FAILED
    except Exception:  # noqa: BLE001 # a mistake of ours, whose exit code must not say "no"
        traceback.print_exc()
        return FAILED
    return code


@_command(*_READS)
def get(target: Target, key: Key, *, as_json: Json = False) -> int:
    """Show the record of an object."""
    return reading.get(target, target.objects(key), as_json=as_json)


@_command(*_READS)
def ls(
    target: Target,
    prefix: Prefix,
    *,
    recursive: Annotated[bool, typer.Option("--recursive", help="All below the prefix.")] = False,
    summarize: Annotated[
        bool, typer.Option("--summarize", help="Number and total size at the end.")
    ] = False,
    human_readable: Annotated[
        bool, typer.Option("--human-readable", help="Sizes in KiB, MiB, …")
    ] = False,
    as_json: Json = False,
) -> int:
    """List records, as `aws s3 ls` lists objects."""
    return reading.ls(
        target,
        target.prefixes(prefix),
        recursive=recursive,
        summarize=summarize,
        human_readable=human_readable,
        as_json=as_json,
    )


@_command(*_WRITES, "versioned")
def backfill(
    target: Target,
    prefix: Prefix,
    *,
    engine: Annotated[
        Engine, typer.Option(help="This machine, or S3 Batch Operations for very many objects.")
    ] = Engine.LOCAL,
    resume: Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be written, write nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write each object that failed to this file, as JSON lines.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Insert a record for every object that has none; refresh all where records hold more.

    Records that are there, and what events write meanwhile, are left alone. Exit code 0: done, 1:
    no object has the prefix, 2: some objects failed, or it stopped.
    """
    if target.filters_are_chosen:
        raise CommandError(
            "--filter would insert what the deployment does not watch: leave --filter out, and name"
            " a prefix instead"
        )
    address = target.watched(prefix)
    if dry_run and (resume or report):
        raise CommandError("--dry-run only counts: leave --resume and --report out")
    if engine is Engine.LOCAL:
        target.check_partitions(address.bucket)
        target.check_derived_files(address.bucket)
        return backfilling.backfill(
            target, address, resume=resume, dry_run=dry_run, report=report, as_json=as_json
        )
    if resume or dry_run:
        raise CommandError("--resume and --dry-run are for --engine local: leave them out")
    if report:
        raise CommandError("--report is for --engine local: the job has a report of its own")
    return job.backfill(target, address, as_json=as_json)


@_command(*_WRITES)
def verify(
    target: Target,
    prefix: Prefix,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Set right what differs.")] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="Compare version ids too, in a versioned bucket.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds after which a difference is looked at again: it may be under way."
        ),
    ] = 120,
    resume: Resume = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Write each difference and each failure to this file, as JSON lines."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Compare index and bucket.

    Exit code 0: no difference, 1: some, repaired or not, 2: some keys could not be compared or
    repaired, or it stopped.
    """
    if repair and target.filters_are_chosen:
        raise CommandError(
            "--repair would take what --filter leaves out from the index: leave --filter out, and"
            " name a prefix instead"
        )
    address = target.watched(prefix)
    target.check_partitions(address.bucket)
    if repair:
        target.check_derived_files(address.bucket)
    return verifying.verify(
        target,
        address,
        repair=repair,
        versions=versions,
        grace=grace,
        resume=resume,
        report=report,
        as_json=as_json,
    )


@_command("env", "index", *_CONNECTION)
def redrive(
    target: Target,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
    as_json: Json = False,
) -> int:
    """Show what lies in the dead-letter queue by cause, then replay it."""
    return redriving.redrive(target, dry_run=dry_run, as_json=as_json)


def run() -> None:
    """Run the command of the command line, and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Closed by whoever started it, as by >&-.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 # as long as the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name=app.info.name)
