"""Histories write no log: formatting their tracebacks would take longer than they do."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    logger = logging.getLogger("file_index")
    logger.disabled = True
    yield
    logger.disabled = False
