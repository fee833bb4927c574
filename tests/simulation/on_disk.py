"""Puts a disk in memory in the place of `os` and `fcntl`, in the modules of the streamer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from beam_s3box.system import local_files
from tests.simulation.disk import SimDisk


class _Os(types.SimpleNamespace):
    """`os`, whose calls reach the disk."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class _Path(types.SimpleNamespace):
    def __getattr__(self, name: str) -> Any:
        return getattr(os.path, name)


@contextlib.contextmanager
def on_disk(disk: SimDisk) -> Iterator[None]:
    """Let the streamer reach this disk, and no other."""
    calls = (
        "open", "fdopen", "write", "pwrite", "pread", "fsync", "ftruncate", "close", "stat", "fstat", "unlink", "rename",
        "scandir", "makedirs", "statvfs",
    )  # fmt: skip
    path = _Path(isdir=disk.is_folder, lexists=disk.has_name, islink=lambda path: False)
    replaced: dict[Any, Any] = {
        os: _Os(path=path, **{name: getattr(disk, name) for name in calls}),
        fcntl: _Fcntl(disk),
    }
    rooms = [module for name, module in sys.modules.items() if name.startswith("beam_s3box.streamer.")]
    changed = [
        (module, name, value)
        for module in [*rooms, local_files]
        for name, value in vars(module).items()
        if isinstance(value, types.ModuleType) and value in replaced
    ]
    for module, name, value in changed:
        setattr(module, name, replaced[value])
    try:
        yield
    finally:
        disk.world.end()  # while it is in place: those who wait are thrown an exception
        for module, name, value in changed:
            setattr(module, name, value)


class _Fcntl:
    def __init__(self, disk: SimDisk) -> None:
        self.flock = disk.flock

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl, name)
