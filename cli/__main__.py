"""Run as `python -m cli` in the repository, and as `file-index` where it is installed."""

import sys


def run() -> None:
    """Run the command of the command line, and exit."""
    try:
        from . import main  # noqa: PLC0415 # takes so long that it may be interrupted
    except KeyboardInterrupt:
        sys.exit(130)  # errors.INTERRUPTED
    main.run()


if __name__ == "__main__":
    run()
