"""A signal handler raises during a call of S3Box: at every line, several times in a row, and with real signals."""

from __future__ import annotations

import collections
import contextlib
import gzip
import itertools
import json
import random
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import BoxSealedError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.sweeps import Late, hangs_are_found, raises_at

EARLIER: Final = 7
"""Records in the box before the call."""

SECONDS = 2.0


class Trial:
    """One box, and the records that its calls acknowledged."""

    def __init__(self) -> None:
        self.store = MemoryStore(new_token(16))
        self.box = S3Box(self.store, max_records=5, upload_concurrency=2)
        self.acknowledged: list[int] = []
        self.asked = 0
        self.pack(EARLIER)

    def pack(self, count: int) -> None:
        for _ in range(count):
            number, self.asked = self.asked, self.asked + 1
            self.box.pack({"i": number})
            self.acknowledged.append(number)

    def pack_many(self, count: int) -> None:
        numbers = range(self.asked, self.asked + count)
        self.asked += count
        # some as text, which the reader gathers apart
        rows = [{"i": i} if i % 3 else b'{"i":%d}' % i for i in numbers]
        try:
            self.box.pack_many(rows)
        except Late as exc:
            self.noted(exc, numbers)
            raise
        self.acknowledged += numbers

    def noted(self, error: Late, numbers: range) -> None:
        """Count as acknowledged what the note says: a caller continues after it."""
        for note in getattr(error, "__notes__", ()):
            packed = int(note.partition("first ")[2].partition(" ")[0])
            self.acknowledged += numbers[:packed]

    def listed(self) -> list[int]:
        keys = [info.key for info in self.store.list("m_")]
        urls = [entry["url"] for key in keys for entry in json.loads(self.store.get(key))["entries"]]
        bodies = [gzip.decompress(self.store.get(url.removeprefix(self.store.root + "/"))) for url in urls]
        return [json.loads(line)["i"] for body in bodies for line in body.splitlines()]

    def check(self) -> str:
        """End the box as its user would after such an exception; return whether it published."""
        try:
            self.box.create_manifests("m", 2)
        except BoxSealedError:
            with pytest.raises(BoxSealedError, match=r"box\.next_box\(\)"):
                self.box.pack({"i": -1})
            assert self.listed() == []
            return "aborted"
        listed = self.listed()
        assert len(listed) == len(set(listed)), "duplicated"
        assert set(self.acknowledged) <= set(listed), "lost"
        assert set(listed) <= set(range(self.asked))
        assert self.box.stats.records == len(listed)
        assert self.box.stats.pending == 0
        return "published"


CALLS: dict[str, Callable[[Trial], object]] = {
    "pack": lambda trial: trial.pack(8),
    "pack_many": lambda trial: trial.pack_many(12),
    "seal": lambda trial: trial.box.seal(),
    "create_manifests": lambda trial: trial.box.create_manifests("m", 2),
    "stats": lambda trial: (trial.box.stats, trial.box.shards),
}


@pytest.mark.parametrize("name", CALLS)
def test_raised_at_every_line(name: str, note: Callable[[str], None]) -> None:
    ends: collections.Counter[str] = collections.Counter()
    for point in itertools.count(1):
        trial = Trial()
        with hangs_are_found():
            try:
                if not raises_at(point, lambda: CALLS[name](trial)):  # noqa: B023 - called at once
                    break
            except Late:
                pass
            ends[trial.check()] += 1
    note(f"{name}: raised at {point - 1} lines: {dict(ends)}")
    assert ends["published"] > 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a step that broke off
def test_raised_again_while_the_first_one_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes within the `except` that is to say that a step broke off."""

    def raise_again(what: str) -> str:
        raise Late

    ends: collections.Counter[str] = collections.Counter()
    for point in itertools.count(1):
        trial = Trial()
        with hangs_are_found():
            with monkeypatch.context() as patch:
                patch.setattr("beam_s3box.box.packer.interrupted", raise_again)
                try:
                    if not raises_at(point, lambda: trial.pack(8)):  # noqa: B023 - called at once
                        break
                except Late:
                    pass
            ends[trial.check()] += 1
    assert min(ends["aborted"], ends["published"]) > 0


def test_raised_several_times_in_a_row(note: Callable[[str], None]) -> None:
    chance = random.Random(11)
    ends: collections.Counter[str] = collections.Counter()
    tries = 0
    for _ in range(300):
        trial = Trial()
        with hangs_are_found():
            for name in ("pack", "pack_many", "stats", "pack", "seal", "seal", "create_manifests", "create_manifests"):
                tries += 1
                # an aborted box raises its own error
                with contextlib.suppress(Late, BoxSealedError):
                    raises_at(chance.randrange(1, 3_000), lambda: CALLS[name](trial))  # noqa: B023 - called at once
            ends[trial.check()] += 1
    note(f"raised in {tries} calls of {sum(ends.values())} boxes: {dict(ends)}")
    assert ends["published"] > 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, Late])
def test_the_error_arrives_as_it_is_and_is_named_when_the_box_is_aborted(error: type[BaseException]) -> None:
    seen: set[str] = set()
    for point in itertools.count(1):
        trial = Trial()
        try:
            if not raises_at(point, lambda: CALLS["pack"](trial), error):  # noqa: B023 - called at once
                break
        except error:
            pass
        try:
            trial.box.seal()
        except BoxSealedError as exc:
            seen.add(str(exc))
    assert any(error.__name__ in text for text in seen)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # where Python collects garbage
def test_real_signals(note: Callable[[str], None]) -> None:
    def take(number: int, frame: FrameType | None) -> None:
        raise Late

    chance = random.Random(7)
    ends: collections.Counter[str] = collections.Counter()
    before = signal.signal(signal.SIGALRM, take)
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            trial = Trial()
            # a signal during garbage collection is lost: Python can't raise there
            for call in (lambda: trial.pack(20_000), trial.box.seal):  # noqa: B023 - called at once
                with contextlib.suppress(Late, BoxSealedError):
                    try:
                        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.002))
                        call()
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
            with hangs_are_found():
                ends[trial.check()] += 1
            signal.signal(signal.SIGALRM, take)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    note(f"{sum(ends.values())} boxes, each met by two signals: {dict(ends)}")
    assert ends["published"] > 0
