"""The program: `file-index` once it is installed, `python -m cli` in the repository."""

import sys


def run() -> None:
    """Run the command that the arguments name, and exit."""
    try:
        from . import main  # noqa: PLC0415 # slow enough to be interrupted
    except KeyboardInterrupt:
        sys.exit(130)  # errors.INTERRUPTED
    main.run()


if __name__ == "__main__":
    run()
