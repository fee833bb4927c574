"""Local files: detect changes while a file is read, and make names durable."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
from collections.abc import Iterator

from beam_s3box.errors import ConfigurationError


def version_of(file: str | int) -> str:
    """Return a text that identifies the content of a file, by path or descriptor; empty for a pipe or a device.

    Raises:
      OSError: the file does not exist.
    """
    return version_in(os.stat(file))


def version_in(found: os.stat_result) -> str:
    """Return the same of what is known of a file, so that its size and its version are of one moment."""
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}" if stat.S_ISREG(found.st_mode) else ""


@contextlib.contextmanager
def unchanged(path: str, descriptor: int, version: str | None = None) -> Iterator[None]:
    """Raise an error if a file changes while the block reads it.

    Args:
      path: the path, for the error.
      descriptor: the descriptor of the open file.
      version: the version when the file was found; None for the current one.

    Raises:
      ConfigurationError: the file has changed, or is another file.
    """
    version = version_of(descriptor) if version is None else version
    _check(path, descriptor, version)
    try:
        yield
    except ConfigurationError as exc:
        # if the file has changed, that is why it could not be read
        _check(path, descriptor, version, exc)
        raise
    _check(path, descriptor, version)


def changed(path: str) -> ConfigurationError:
    """Return the error for a file or object that changed while it was read."""
    return ConfigurationError(
        f"input={path!r} has changed since it was found, so old and new content may be mixed: run again when nothing "
        "writes to it"
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
