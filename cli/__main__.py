"""Run as `python -m cli` in the repository."""

from .main import run

run()
