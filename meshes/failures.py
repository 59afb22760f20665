"""The error of a file that cannot be trusted, and the net that catches a library's own."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ReadError(ValueError):
    """A file that cannot be read: which one, why, and what to do about it."""

    def __init__(self, path: Path | str, reason: str, advice: str):
        # All three stay arguments, so that the error survives the way back from a worker process.
        super().__init__(path, reason, advice)
        self.path = path
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        return f"`{self.path}` cannot be read: {self.reason}. {self.advice}"


BROKEN = "The file is damaged or not what its name says; copy or export it again."
"""The advice where nothing better is known."""

FOREIGN = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    ValueError,
    Warning,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the readers' libraries were seen to raise on damaged files."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into a `ReadError`.

    A file that is missing or that may not be opened keeps its built-in error.
    """
    try:
        yield
    except (ReadError, FileNotFoundError, PermissionError):
        raise
    except (*FOREIGN, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ReadError(path, lines[-1].strip()[:300].rstrip("."), BROKEN) from error
