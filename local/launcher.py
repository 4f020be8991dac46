"""The process of the emulator: corrects ministack and runs it.

python -m local.launcher [uncorrected]
"""

import os
import signal
import sys
import threading

from hypercorn.config import Config
from ministack import app

from local.corrections import correct


def _stop_with_the_owner() -> None:
    """Stop when standard input ends. The process that started this one holds its other end.

    So the emulator ends even if its owner was killed and could not stop it.
    """
    # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve until told to stop."""
    if "uncorrected" not in sys.argv:
        correct()
    sys.argv = sys.argv[:1]  # ministack reads the command line itself
    os.chdir(os.environ["HOME"])
    # After 1,000 requests it would close a connection with requests in flight; a kept provider
    # makes more.
    Config.keep_alive_max_requests = sys.maxsize
    # Only the given port: several emulators side by side would race for 443.
    app._port_is_bindable = lambda *_: False
    threading.Thread(target=_stop_with_the_owner, daemon=True).start()
    app.main()


if __name__ == "__main__":
    main()
