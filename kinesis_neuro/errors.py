"""The exceptions of the library: every one says what was given, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class KinesisError(Exception):
    """Base class of every error that the library raises on purpose."""


class InvalidInputError(KinesisError, ValueError):
    """An argument or an array breaks a stated rule."""


class FileFormatError(KinesisError, ValueError):
    """A file cannot be read as what it claims to be.

    Parameters
    ----------
    path : str or Path
        The file.
    found : str
        What was found, with the place (line, column, key).
    expected : str
        What a good file has there.
    """

    def __init__(self, path: str | Path, found: str, expected: str) -> None:
        super().__init__(f"{Path(path)}: {found}. Expected {expected}.")
        self.path = Path(path)
        self.found = found
        self.expected = expected

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.found, self.expected)


class IncompatibleError(KinesisError, ValueError):
    """Two parts that do not belong together, such as a checkpoint and a body."""


class MissingDependencyError(KinesisError, ImportError):
    """An optional package or a system library is absent."""


class ClusterError(KinesisError, ConnectionError):
    """A cluster does not answer, or cannot do what it is asked for."""


class WriteError(KinesisError, OSError):
    """A file could not be written; the one that was there before is intact."""


def unknown_name(kind: str, given: object, available: Iterable[str]) -> InvalidInputError:
    """Make the error for a name that does not exist.

    Examples
    --------
    >>> print(unknown_name("body", "leg", ["legs", "full"]))
    Unknown body 'leg'. Available: full, legs.
    """
    return InvalidInputError(
        f"Unknown {kind} {given!r}. Available: {', '.join(sorted(available))}."
    )
