"""Local files: detect changes while a file is read, and make names durable."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
from collections.abc import Iterator

from beam_s3box.errors import ConfigurationError


def stat_input(path: str) -> os.stat_result:
    """Return what is known of a file of the input.

    Raises:
      FileNotFoundError: it was removed since it was listed.
      ConfigurationError: it has a name that no text can hold, is a link to nothing or to itself, or is no file but a
        pipe, a socket or a device.
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise ConfigurationError(f"input='{shown}' can't be read: its name is not UTF-8: rename it") from None
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if not os.path.islink(path):
            raise
        raise unreadable_input(path, "it is a link to a file that does not exist") from None
    except OSError as exc:
        raise unreadable_input(path, str(exc.strerror)) from exc
    if not stat.S_ISREG(found.st_mode):
        raise unreadable_input(path, "it is not a file, but a pipe, a socket or a device")
    return found


def check_permitted(path: str) -> None:
    """Raise ConfigurationError if a file of the input is there and its permissions forbid to read it."""
    if not os.access(path, os.R_OK) and os.path.lexists(path):
        raise unreadable_input(path, "its permissions forbid it")


def unreadable_input(path: str, why: str) -> ConfigurationError:
    """Return the error for a file of the input that can't be read."""
    return ConfigurationError(f"input={path!r} can't be read: {why}")


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
