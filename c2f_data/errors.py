"""Foreseen failures: what is wrong in one line, what to do in another.

Everything a user can cause ends in a :class:`C2FError`; the command line prints it without a
traceback and exits with :attr:`C2FError.exit_code`.
"""

from __future__ import annotations

from typing import ClassVar


class C2FError(Exception):
    """A foreseen failure.

    Attributes:
        message: what is wrong, with file, line and value where there are any.
        hint: what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"

    def __reduce__(self) -> tuple[type[C2FError], tuple[str, str]]:
        # Exception's own reduce passes one argument, and a worker process must be able to send it.
        return type(self), (self.message, self.hint)


class DataSetError(C2FError):
    """A data set that is absent, incomplete or not laid out as its adapter expects."""


class ImageError(C2FError):
    """An image file that can't be decoded, or that is refused."""


class TaxonomyError(C2FError):
    """A hierarchy table that contradicts itself or its data set."""


class ArtefactError(C2FError):
    """A file that c2f wrote earlier and that is absent, damaged or of another schema."""


class ConfigError(C2FError):
    """A setting that has no meaning, alone or together with another."""


class DeviceError(C2FError):
    """A device that was asked for and is not there."""


def install_hint(extra: str) -> str:
    """How to get the packages of an extra: c2f is installed from its source, not from an index."""
    return f"Install it: pip install '.[{extra}]' in the folder of c2f's source."
