"""`make demo`: applies the module to a local AWS, shows what it does, and destroys it.

python -m local.demo [--keep]
"""

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.deployment import Deployment, DeploymentError
from local.emulator import Emulator, EmulatorError
from local.provider import KeptProvider, ProviderError, provider_binary
from local.story import Story, StoryError, heading
from tools.module_copy import ROOT, ModuleCopy
from tools.terraform_init import TerraformError

console = Console(highlight=False)


NEXT_STEPS = {
    "use it in your stack": ("README.md#use-it-as-a-module", "examples/basic"),
    "index an existing bucket": (
        "README.md#use-an-existing-bucket",
        "examples/existing-bucket-eventbridge",
    ),
    "read the index": ("docs/reading.md", "examples/reader"),
    "react to each change": ("examples/on-change",),
    "fill and verify it": ("docs/file-index.md",),
    "explain a failure": ("docs/operations.md",),
    "convince your security team": ("docs/security.md", "docs/permissions.md"),
    "estimate the cost": ("docs/cost.md",),
}
"""What a reader can do after the demo, and the pages and stacks that show how."""


class Resources:
    """Counts the resources that Terraform has finished, on the screen while it works."""

    def __init__(self) -> None:
        self._progress = Progress()

    def finished(self, _resource: str) -> None:
        """Count one more."""
        self._progress.advance(self._progress.task_ids[0])

    @contextmanager
    def counted(self, command: str, done: str) -> Iterator[None]:
        """Show the count during the block, and the total and the time at its end."""
        started = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}: {task.completed} resources"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(
            *columns,
            console=console,
            refresh_per_second=4,
            transient=True,
            disable=not console.is_terminal,
        )
        with self._progress:
            self._progress.add_task(command, total=None)
            yield
        count = f"{self._progress.tasks[0].completed:.0f} resources"
        console.print(f"{command}: {count} {done} in {time.monotonic() - started:.1f} s")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what was done, and how long it took."""
    started = time.monotonic()
    yield
    console.print(f"{what} in {time.monotonic() - started:.1f} s")


def show_next_steps() -> None:
    """Say where to go next."""
    heading(console, "Where to go next")
    table = Table.grid("", "", padding=(0, 3, 0, 0))
    for task, places in NEXT_STEPS.items():
        table.add_row(task, ", ".join(places))
    console.print(table)


def keep(deployment: Deployment) -> None:
    """Leave everything running until Ctrl-C."""
    heading(console, "The local AWS is still running. To use it, paste this into another terminal:")
    for line in instructions(deployment):
        print(line)
    console.print("\nFor a stack of your own, run `unset TF_DATA_DIR TF_WORKSPACE` there first.")
    console.print("Ctrl-C here ends the local AWS, with everything in it.")
    while True:
        time.sleep(3600)


def instructions(deployment: Deployment) -> list[str]:
    """Return the commands that another terminal needs, and some to try there."""
    bucket = shlex.quote(f"s3://{deployment.outputs()['bucket']['name']}")
    # The command runs from the checkout: `make` installs its dependencies only.
    command = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m cli"
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in deployment.environment.items()),
        f"alias file-index={shlex.quote(command)}",
        f"cd {shlex.quote(str(deployment.directory))}",
        "",
        f"aws s3 ls {bucket}",
        f"file-index ls {bucket}",
        "file-index redrive --dry-run",
        "terraform plan -var-file=environments/local.tfvars",
    ]


def main() -> int:
    """Run the demo. It leaves nothing running, whatever happens."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)  # also SIGINT: a background job is started with it ignored
    started = time.monotonic()
    console.print(
        "This demo takes about a minute, half of it for terraform apply, and needs no AWS"
        " account. Terraform and the real AWS provider apply this module to an AWS that runs on"
        " this machine. The demo uses it as an application would, lets things go wrong, and"
        " destroys everything.\n"
    )
    try:
        with ExitStack() as stack:
            with timed("local AWS: started"):
                emulator = stack.enter_context(Emulator())
            with timed("terraform init: done"):
                initialised = stack.enter_context(ModuleCopy({}))
            binary = provider_binary(initialised.data_directory)
            provider = stack.enter_context(KeptProvider(binary, emulator.environment))
            resources = Resources()
            deployment = Deployment(
                emulator,
                show=resources.finished,
                provider=provider.environment,
                initialised=initialised,
            )
            run(emulator, stack.enter_context(deployment), resources)
    except KeyboardInterrupt:
        console.print("\nInterrupted: the local AWS has ended, with everything in it.")
        return 130
    except (
        DeploymentError,
        EmulatorError,
        ProviderError,
        StoryError,
        TerraformError,
        TimeoutError,
    ) as error:
        console.print(f"[red]{escape(str(error))}")
        return 1
    console.print(f"Nothing is left running. The demo took {time.monotonic() - started:.0f} s.")
    return 0


def stop(number: int, _frame: object) -> None:
    """Start the clean-up, without output if the terminal is gone."""
    if number == signal.SIGHUP:
        console.file = Path(os.devnull).open("w")  # noqa: SIM115 # for the rest of the process
    raise KeyboardInterrupt


def run(emulator: Emulator, deployment: Deployment, resources: Resources) -> None:
    """Apply, show, destroy. An interruption ends the local AWS without a destroy."""
    with resources.counted("terraform apply", "created"):
        deployment.apply()
    Story(console, emulator, deployment).tell()
    if "--keep" in sys.argv:
        show_next_steps()
        keep(deployment)
    console.print()
    with resources.counted("terraform destroy", "destroyed"):
        deployment.destroy()
    show_next_steps()
    console.print(
        "\n[bold]make demo KEEP=1[/bold] leaves the local AWS running, to try it yourself."
    )


if __name__ == "__main__":
    sys.exit(main())
