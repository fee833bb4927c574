"""The pool of threads, a box and a streamer, in every order of their threads up to a number of delays."""

from __future__ import annotations

import collections
import contextlib
import gzip
import itertools
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import greenlet
import pytest

from beam_s3box import S3Box
from beam_s3box.box.packer import BoxPacker
from beam_s3box.box.stripes import Stripe
from beam_s3box.errors import BoxSealedError, StreamerClosedError, StreamNotOpenError
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader
from beam_s3box.streamer.in_flight import InFlightUploads
from beam_s3box.system.threads import Threads
from tests.simulation.disk import FOLDER, SimDisk
from tests.simulation.interleavings import Scenario, explore
from tests.simulation.on_disk import on_disk
from tests.simulation.put_back import PutBack
from tests.simulation.world import World

_NAMES = itertools.count()
"""Of stores; the tokens of a world are the same each time."""


def pool(world: World) -> Callable[[], None]:
    """Two that submit to one thread, which ends when it is idle."""
    threads, done = Threads(1, "pool", idle_seconds=0.1), list[int]()

    def work(number: int) -> int:
        done.append(number)
        return number

    def submit(first: int) -> list[int]:
        tasks = [threads.submit(work, number) for number in (first, first + 1)]
        world.sleep(0.1)  # as long as the thread waits for another task
        return [task.result() for task in tasks]

    actors = [world.spawn("submitter", lambda first=first: submit(first)) for first in (0, 2)]  # type: ignore[misc]

    def check() -> None:
        assert sorted(done) == [0, 1, 2, 3]
        assert [actor.result for actor in actors] == [[0, 1], [2, 3]]

    return check


class _Stripes:
    """A stripe for each actor, as each thread has one."""

    def __init__(self, stripes: list[Stripe]) -> None:
        self._left = list(stripes)
        self._mine: dict[Any, Stripe] = {}

    @property
    def mine(self) -> Stripe:
        here = greenlet.getcurrent()
        if here not in self._mine:
            self._mine[here] = self._left.pop()
        return self._mine[here]


def box(world: World) -> Callable[[], None]:
    """Two that pack, and one that seals and lists meanwhile."""
    store = MemoryStore(f"interleaved-{next(_NAMES)}")
    made = S3Box(store, max_records=2)
    vars(made._packer)["_stripes"] = _Stripes(made._packer._all_stripes)
    packed: list[int] = []

    def pack(numbers: Iterable[int]) -> None:
        for number in numbers:
            try:
                made.pack({"i": number})
            except BoxSealedError:
                return
            packed.append(number)

    world.spawn("packer", lambda: pack(range(2)))
    world.spawn("packer", lambda: pack(range(2, 4)))
    world.spawn("owner", lambda: made.create_manifests("m"))

    def check() -> None:
        keys = [info.key for info in store.list() if info.key.endswith(".manifest")]
        urls = [entry["url"] for key in keys for entry in json.loads(store.get(key))["entries"]]
        texts = [gzip.decompress(store.get(url.removeprefix(store.root + "/"))) for url in urls]
        assert sorted(json.loads(line)["i"] for text in texts for line in text.splitlines()) == sorted(packed)

    return check


def streamer(world: World) -> Callable[[], None]:
    """One that appends, and one that flushes and shuts down meanwhile."""
    store = MemoryStore(f"interleaved-{next(_NAMES)}")
    uploaded: collections.Counter[str] = collections.Counter()
    inner = StoreUploader(store)

    def upload(file: Any) -> None:
        world.sleep(0.0)
        inner.upload(file)
        uploaded[file.file_name] += 1

    appended: list[int] = []
    made = JsonBufferStreamer(upload, pathlib.Path(FOLDER), scheduler_interval=0, upload_threads=2)
    made.open("web", "a", size_limit=1, time_limit=0)

    def append() -> None:
        for number in range(2):
            with contextlib.suppress(StreamerClosedError, StreamNotOpenError):
                made.append("web", "a", {"i": number})
                appended.append(number)

    def end() -> None:
        with contextlib.suppress(StreamerClosedError):
            made.flush()
        assert made.shut_down() == ()

    world.spawn("appender", append)
    world.spawn("owner", end)

    def check() -> None:
        bodies = [store.get(info.key) for info in store.list("data/")]
        assert sorted(record["i"] for body in bodies for record in json.loads(body)) == sorted(appended)
        assert set(uploaded.values()) <= {1}

    return check


SCENARIOS: dict[str, tuple[Scenario, int, int]] = {
    "pool": (pool, 3, 3_000),
    "box": (box, 1, 2_000),
    "streamer": (streamer, 1, 2_000),
}


def orders(name: str) -> int:
    scenario, delays, most = SCENARIOS[name]
    if name != "streamer":
        return explore(scenario, delays, most)

    def on_a_disk(world: World) -> Callable[[], None]:
        stack.close()
        stack.enter_context(on_disk(SimDisk(world, None, is_ordered=True)))
        return scenario(world)

    with contextlib.ExitStack() as stack:
        return explore(on_a_disk, delays, most)


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_every_order_nothing_is_lost_or_doubled(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tried = orders(name)
    assert tried > 50
    with capsys.disabled():
        print(f"\n{name}: {tried} orders of its threads with up to {SCENARIOS[name][1]} delays")


FAULTS = {
    "box": PutBack(
        BoxPacker,
        "seal",
        "            self._is_sealed = True\n            # once",
        "            # once",
        ("",),
    ),
    "streamer": PutBack(
        InFlightUploads,
        "_claim",
        "        if upload.ticket is not ticket or upload.owner not in (None, threading.get_ident()):\n",
        "        if False:\n",
        ("",),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_is_put_back_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    monkeypatch.setattr(fault.owner, fault.name, fault.function())
    with pytest.raises(AssertionError, match="the order: "):
        orders(name)
