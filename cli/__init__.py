"""Reads the index of terraform-aws-file-index: `Index` for applications, `file-index` for people.

Installed as the package `file_index`. `function` links to the Lambda function's modules, which the
wheel contains as files.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .function.errors import (
        BucketMissingError,
        FileIndexError,
        PartitionsError,
        PermissionDeniedError,
        TableMissingError,
        UnreadableRecordError,
    )
    from .function.record import DerivedFile, FileRecord, ObjectMetadata, ObjectState
    from .index import ArgumentError, Index, Indexed, NotIndexedError, Overtaken, ThrottledError

__version__ = "1.0.0"

__all__ = [
    "ArgumentError",
    "BucketMissingError",
    "DerivedFile",
    "FileIndexError",
    "FileRecord",
    "Index",
    "Indexed",
    "NotIndexedError",
    "ObjectMetadata",
    "ObjectState",
    "Overtaken",
    "PartitionsError",
    "PermissionDeniedError",
    "TableMissingError",
    "ThrottledError",
    "UnreadableRecordError",
]


if not TYPE_CHECKING:  # so that type checkers refuse other names

    def __getattr__(name: str) -> Any:
        """Import what an application uses when it uses it, because boto3 is slow to load."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import index  # noqa: PLC0415
        from .function import errors, record  # noqa: PLC0415

        modules = (index, errors, record)
        return next(vars(module)[name] for module in modules if name in vars(module))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
