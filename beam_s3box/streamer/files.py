"""The file system operations of the streamer, one system call at a time.

The streamer reaches its folder through `os` and `fcntl` alone, here and in the modules that call them, and never
through methods of paths: so tests can put a disk in their place that fails.
"""

from __future__ import annotations

import os
import pathlib
from typing import BinaryIO


def write_all(handle: int, data: bytes) -> None:
    """Write all of the data, in as many calls as the system needs."""
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, data[written:])


def write_file(path: pathlib.Path, body: bytes) -> None:
    """Write a file, replacing an existing one, and sync it to the disk; a link is not followed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(handle, body)
        os.fsync(handle)
    finally:
        os.close(handle)


def open_to_read(path: pathlib.Path) -> BinaryIO:
    """Return the file, open to be read."""
    return os.fdopen(os.open(path, os.O_RDONLY), "rb")


def read_file(path: pathlib.Path) -> bytes:
    """Return the content of a file."""
    with open_to_read(path) as file:
        return file.read()


def size_of(path: pathlib.Path) -> int | None:
    """Return the size of a file in bytes, or None if it does not exist."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


def remove(path: pathlib.Path) -> None:
    """Remove a file if it exists."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
