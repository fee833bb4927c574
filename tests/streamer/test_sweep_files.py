"""Each file-system call of a complete life fails once, before or after its effect: nothing is lost, duplicated or stuck."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import RecordsLostError
from beam_s3box.streamer import StreamerError
from tests.streamer.life import Ledger, again, drop, within_seconds

CALLS = (
    "open", "write", "close", "fsync", "ftruncate", "rename", "replace", "unlink", "remove", "stat", "lstat", "fstat",
    "scandir", "listdir", "mkdir", "makedirs", "pread", "pwrite", "statvfs", "lseek", "link",
)  # fmt: skip
ERRORS = (errno.EMFILE, errno.EIO, errno.ENOSPC)


class Faults:
    """Counts the calls on a folder, and makes one of them fail."""

    def __init__(self, folder: pathlib.Path, fail_at: int, code: int, *, after: bool) -> None:
        self.folder = str(folder)
        self.fail_at = fail_at
        self.code = code
        self.after = after
        self.calls = 0
        self.failed = ""
        self._guard = threading.Lock()
        self._handles: set[int] = set()

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            first = args[0] if args else None
            ours = first in self._handles if type(first) is int else self.folder in str(first)
            if not ours:
                return real(*args, **kwargs)
            with self._guard:
                number, self.calls = self.calls, self.calls + 1
            fails = number == self.fail_at
            if fails:
                self.failed = name
            if fails and not self.after:
                raise OSError(self.code, os.strerror(self.code))
            # slow on a real disk, and no fault here depends on it
            result = None if name == "fsync" else real(*args, **kwargs)
            if type(first) is int and name == "close":
                self._handles.discard(first)
            if name == "open":
                self._handles.add(int(result or 0))
            if fails:
                if name in ("io.open", "scandir") and result is not None:
                    result.close()
                raise OSError(self.code, os.strerror(self.code))
            return result

        return call

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            patch.setattr(os, name, self.wrap(name, getattr(os, name)))
        opener = self.wrap("io.open", io.open)
        patch.setattr(io, "open", opener)
        patch.setattr(builtins, "open", opener)


def live(ledger: Ledger) -> None:
    """Fill, upload, list, end with a full and an open buffer, start again, list and end."""
    first = again(ledger.make)
    ledger.open(first)
    for _ in range(9):
        try:
            ledger.append(first)
        except StreamerError:
            continue
    again(lambda: first.flush(10))
    again(first.write_manifests)
    for _ in range(5):
        try:
            ledger.append(first)
        except StreamerError:
            continue
    if ledger.durability == "memory":
        again(lambda: first.flush(10))
    drop(first)
    second = again(ledger.make)
    ledger.open(second)
    again(lambda: ledger.append(second))
    with contextlib.suppress(StreamerError):
        second.close("web", "a", 10)
    again(lambda: second.flush(10))
    again(second.write_manifests)
    assert again(lambda: second.shut_down(10)) == ()


def break_one_life(folder: pathlib.Path, durability: str, number: int, *, after: bool) -> bool:
    """Live once with one call that fails, and check; return False if there are fewer calls."""
    ledger = Ledger(folder, durability)
    faults = Faults(folder, number, ERRORS[number % len(ERRORS)], after=after)
    try:
        with pytest.MonkeyPatch.context() as patch:
            faults.install(patch)
            live(ledger)
        ledger.finish()
        ledger.check(unacknowledged=1)
        assert max(ledger.uploader.uploads.values()) == 1, "uploaded twice"
    except Exception as exc:
        raise AssertionError(f"call {number}, {faults.failed}, {os.strerror(faults.code)}: {exc}") from exc
    return bool(faults.failed)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("durability", ["os", "fsync", "memory"])
def test_each_call_fails_once(
    tmp_path: pathlib.Path, reported: list[Any], capsys: pytest.CaptureFixture[str], durability: str, after: bool
) -> None:
    tried = 0
    with within_seconds():
        while break_one_life(tmp_path / f"buffers{tried}", durability, tried, after=after):
            tried += 1
    assert not any(isinstance(error, RecordsLostError) for error in reported)
    assert tried > 100
    with capsys.disabled():
        print(f"\n{tried} file-system calls failed {'after' if after else 'before'} their effect, durability={durability}: "
              "0 lost, 0 duplicated, 0 stuck")  # fmt: skip
