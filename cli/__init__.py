"""`file-index`: reads an index, fills it, proves it right and repairs it.

Installed as `file_index_cli`, with the function's package below it, so that neither takes a
general name in the user's environment.
"""

import sys
from pathlib import Path

_VENDORED = Path(__file__).parent / "_vendor"

if _VENDORED.is_dir():
    sys.path.insert(0, str(_VENDORED))
