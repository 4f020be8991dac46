"""Where a backfill was when it stopped."""

import hashlib
import json
import os
import time
from pathlib import Path

from .errors import CommandError
from .text import say

_SECONDS = 1.0


class Place:
    """The last key up to which everything is done, kept in a file of the user's."""

    def __init__(self, *what: str) -> None:
        """`what` tells one backfill from another: table, bucket, prefix, filters."""
        try:
            state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
        except RuntimeError:
            raise CommandError(
                "there is no home directory to keep its place in: set HOME"
            ) from None
        name = hashlib.sha256("\0".join(what).encode()).hexdigest()[:16]
        self.path = state / "file-index" / f"backfill-{name}.json"
        self._what = what
        self._written = 0.0
        self.is_kept = True
        """Whether it could be written so far."""

    def read(self) -> str | None:
        """The key; None where no backfill of this kind has stopped halfway."""
        try:
            key: str = json.loads(self.path.read_text())["start_after"]
        except FileNotFoundError:
            return None
        except OSError as error:
            self._lose(error)
            return None
        except (ValueError, KeyError, TypeError):
            # Half a file cannot be: it is replaced in one step. Somebody else wrote it.
            return None
        return key if isinstance(key, str) else None

    def write(self, key: str, *, now: bool = False) -> None:
        """Remember the key: at once, or within a second of the last time.

        Where that is not possible it is said once: the work itself does not need it.
        """
        if not self.is_kept or (not now and time.monotonic() - self._written < _SECONDS):
            return
        self._written = time.monotonic()
        new = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"backfill": self._what, "start_after": key}))
            new.replace(self.path)
        except OSError as error:
            self._lose(error)

    def forget(self) -> None:
        """There is nothing left to do."""
        if self.is_kept:
            self.path.unlink(missing_ok=True)

    def _lose(self, error: OSError) -> None:
        self.is_kept = False
        say("--resume will not know where this was: {}", str(error))
