"""Commands without AWS."""

from tests.identity import identity

__all__ = ["identity"]
