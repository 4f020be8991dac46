"""The benchmarks count what a command uses, and refuse a command that does something else."""

import sys

import pytest

from benchmarks.command_line import BenchmarkError, Runner, _filled
from benchmarks.large_bucket import LargeBucket

MEGABYTES = 200
HOLD = f"import time; held = b'x' * ({MEGABYTES} * 2**20); time.sleep(1)"


def test_memory_is_that_of_all_processes() -> None:
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}])"

    alone = Runner().run(sys.executable, "-c", HOLD, watched=True)
    by_another = Runner().run(sys.executable, "-c", started, watched=True)

    assert MEGABYTES < alone.megabytes < by_another.megabytes < 2 * MEGABYTES


def test_cpu_time_is_that_of_all_processes_and_not_of_waiting() -> None:
    work = "import time; began = time.process_time()\nwhile time.process_time() - began < 0.3: pass"
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"

    waiting = Runner().run(sys.executable, "-c", "import time; time.sleep(0.4)")
    working = Runner().run(sys.executable, "-c", started)

    assert waiting.wall >= 0.4
    assert waiting.cpu < 0.3 < working.cpu


def test_a_command_that_fails_is_not_measured() -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 3: no table"):
        Runner().run(sys.executable, "-c", "import sys; sys.stderr.write('no table'); sys.exit(3)")


def test_a_backfill_that_writes_too_little_is_not_measured() -> None:
    with LargeBucket(10) as large, pytest.raises(BenchmarkError, match="wrote 0 items, not 10"):
        _filled(large, Runner().cpu, sys.executable, "-c", "")
