"""The program: `file-index` once it is installed, `python -m cli` in the repository."""

import sys
from importlib.util import find_spec

_EXTRA = ("click", "rich")
"""Packages of the extra `cli`. Applications that read an index do without them."""


def run() -> None:
    """Run the command that the arguments name, and exit."""
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"file-index: {' and '.join(missing)} not found: install the command line with its"
            " extra, as in pipx install 'file-index[cli] @"
            " git+https://github.com/YOUR-ORG/terraform-aws-file-index.git'\n"
        )
        sys.exit(2)  # errors.FAILED
    try:
        from . import main  # noqa: PLC0415 # slow enough to be interrupted
    except KeyboardInterrupt:
        sys.exit(130)  # errors.INTERRUPTED
    main.run()


if __name__ == "__main__":
    run()
