"""The commands of `file-index`."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from . import backfill as backfilling
from . import errors, job
from . import get as getting
from . import ls as listing_records
from . import redrive as redriving
from . import verify as verifying
from .errors import FAILED, INTERRUPTED, PIPE_CLOSED, CommandError
from .options import (
    PARTITIONS,
    TOMBSTONE_DAYS,
    Chosen,
    EndpointUrl,
    Env,
    FilterTexts,
    Index,
    Json,
    Key,
    ObjectMetadata,
    ObjectTags,
    Partitions,
    Prefix,
    Profile,
    Region,
    Resume,
    Table,
    TombstoneDays,
    Versioned,
)
from .terminal import write_stderr

Options = ParamSpec("Options")

app = typer.Typer(
    name="file-index",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read an index of files, fill it, verify it and repair it.\n\n"
    "Exit codes: 0 yes or done; 1 no: no such record, drift found, something left; 2 the command "
    "could not do it; 130 interrupted.",
)


class Engine(StrEnum):
    """What runs a backfill."""

    LOCAL = "local"
    BATCH_OPERATIONS = "batch-operations"


def _command(function: Callable[Options, int]) -> Callable[Options, int]:
    """Register a command. The function returns its exit code."""

    @app.command()
    @wraps(function)
    def run(*arguments: Options.args, **options: Options.kwargs) -> None:
        raise typer.Exit(_exit_code(lambda: function(*arguments, **options)))

    return function


def _exit_code(command: Callable[[], int]) -> int:
    """Run a command; an error becomes a line on standard error and an exit code."""
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


@_command
def get(
    key: Key,
    *,
    as_json: Json = False,
    env: Env = None,
    index: Index = None,
    table: Table = None,
    partitions: Partitions = PARTITIONS,
    filters: FilterTexts = None,
    profile: Profile = None,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
) -> int:
    """Show the record of an object."""
    target = Chosen(
        env=env,
        index=index,
        table=table,
        partitions=partitions,
        filters=filters,
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
    ).target()
    return getting.get(target, target.objects(key), as_json=as_json)


@_command
def ls(
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
    env: Env = None,
    index: Index = None,
    table: Table = None,
    partitions: Partitions = PARTITIONS,
    filters: FilterTexts = None,
    profile: Profile = None,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
) -> int:
    """List records, as `aws s3 ls` lists objects."""
    target = Chosen(
        env=env,
        index=index,
        table=table,
        partitions=partitions,
        filters=filters,
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
    ).target()
    return listing_records.ls(
        target,
        target.prefixes(prefix),
        recursive=recursive,
        summarize=summarize,
        human_readable=human_readable,
        as_json=as_json,
    )


@_command
def backfill(
    prefix: Prefix,
    *,
    engine: Annotated[
        Engine, typer.Option(help="This machine, or S3 Batch Operations for very many objects.")
    ] = Engine.LOCAL,
    resume: Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be written; write nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write each object that failed to this file, as JSON lines.")
    ] = None,
    as_json: Json = False,
    env: Env = None,
    index: Index = None,
    table: Table = None,
    partitions: Partitions = PARTITIONS,
    filters: FilterTexts = None,
    profile: Profile = None,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
    tombstone_days: TombstoneDays = TOMBSTONE_DAYS,
    object_metadata: ObjectMetadata = False,
    object_tags: ObjectTags = False,
    versioned: Versioned = False,
) -> int:
    """Insert a record for every object that has none.

    If records hold object metadata or point to derived files, refresh them all. Existing records,
    and what events write meanwhile, are left alone. Exit code 0: done; 1: no object has the prefix;
    2: some objects failed, or the command stopped.
    """
    target = Chosen(
        env=env,
        index=index,
        table=table,
        partitions=partitions,
        filters=filters,
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
        tombstone_days=tombstone_days,
        object_metadata=object_metadata,
        object_tags=object_tags,
        versioned=versioned,
    ).target()
    if target.filters_are_chosen:
        raise CommandError(
            "--filter would insert objects that the deployment does not watch: leave it out, and"
            " name a prefix instead"
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
        raise CommandError("--resume and --dry-run only go with --engine local: leave them out")
    if report:
        raise CommandError(
            "--report only goes with --engine local: a job writes a report of its own"
        )
    return job.backfill(target, address, as_json=as_json)


@_command
def verify(
    prefix: Prefix,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what differs.")] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="Compare version ids too, in a versioned bucket.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds after which a difference is checked again: its event may be late."
        ),
    ] = 120,
    resume: Resume = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Write each difference and each failure to this file, as JSON lines."),
    ] = None,
    as_json: Json = False,
    env: Env = None,
    index: Index = None,
    table: Table = None,
    partitions: Partitions = PARTITIONS,
    filters: FilterTexts = None,
    profile: Profile = None,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
    tombstone_days: TombstoneDays = TOMBSTONE_DAYS,
    object_metadata: ObjectMetadata = False,
    object_tags: ObjectTags = False,
) -> int:
    """Compare index and bucket.

    Exit code 0: no difference; 1: differences, repaired or not; 2: some keys could not be compared
    or repaired, or the command stopped.
    """
    target = Chosen(
        env=env,
        index=index,
        table=table,
        partitions=partitions,
        filters=filters,
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
        tombstone_days=tombstone_days,
        object_metadata=object_metadata,
        object_tags=object_tags,
    ).target()
    if repair and target.filters_are_chosen:
        raise CommandError(
            "--repair would remove from the index what --filter leaves out: leave --filter out, and"
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


@_command
def redrive(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the messages.")] = False,
    as_json: Json = False,
    env: Env = None,
    index: Index = None,
    profile: Profile = None,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
) -> int:
    """Show the messages of the dead-letter queue by cause, then replay them."""
    target = Chosen(
        env=env,
        index=index,
        profile=profile,
        region=region,
        endpoint_url=endpoint_url,
    ).target()
    return redriving.redrive(target, dry_run=dry_run, as_json=as_json)


def run() -> None:
    """Run the command that the arguments name, and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The parent may have closed them, as with >&-.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 # as long as the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name=app.info.name)
