"""Local files: read as they were when they were found, without a mixture of old and new; and names made durable."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
from collections.abc import Iterator

from beam_s3box.errors import ConfigurationError


def version_of(file: str | int) -> str:
    """Return what tells the content of a file from another, by path or descriptor; empty for a pipe or a device.

    Raises:
      OSError: it is not there.
    """
    found = os.stat(file)
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}" if stat.S_ISREG(found.st_mode) else ""


@contextlib.contextmanager
def unchanged(path: str, descriptor: int, version: str | None = None) -> Iterator[None]:
    """Raise an error if a file changes while the block reads it.

    Args:
      path: for the error.
      descriptor: of the open file.
      version: when it was found; None for now.

    Raises:
      ConfigurationError: it has changed, or is another file than then.
    """
    version = version_of(descriptor) if version is None else version
    _check(path, descriptor, version)
    try:
        yield
    except ConfigurationError as exc:
        # then it is no wonder that it could not be read
        _check(path, descriptor, version, exc)
        raise
    _check(path, descriptor, version)


def changed(path: str) -> ConfigurationError:
    """Return the error for a file or object that changed while it was read."""
    return ConfigurationError(
        f"input={path!r} has changed since it was found, and what was read of it may be a mixture of old and new: run "
        "again when nothing writes to it"
    )


def sync_folder(folder: pathlib.Path) -> None:
    """Make the names in a folder as durable as its files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(path: str, descriptor: int, version: str, cause: ConfigurationError | None = None) -> None:
    if version and version_of(descriptor) != version:
        raise changed(path) from cause
