"""Lives of a streamer on one folder, each killed, cut off or ended, on a disk and a server that fail at any call."""

from __future__ import annotations

import collections
import contextlib
import json
import pathlib
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import S3BoxError, UploadsFailedError
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer import (
    JsonBufferStreamer,
    StoreUploader,
    folder,
    in_flight,
    journal,
    manifest_journal,
    open_streams,
    stream,
)
from beam_s3box.streamer.journal import Durability
from tests.simulation.disk import FOLDER, SimDisk
from tests.simulation.locks import Late, Switch, interrupted, lines_of, on_locks
from tests.simulation.on_disk import on_disk
from tests.simulation.oracle import PREFIX
from tests.simulation.s3 import SimS3, sim_store
from tests.simulation.world import Actor, Choices, World

_STEPS: Final = 14
_LINES: Final = lines_of(folder, in_flight, journal, manifest_journal, open_streams, stream)
"""Where a signal may come: the lines that change what a streamer knows."""

_SIGNALS: Final = 8
"""Lines at which one may come in one life."""

_DURABILITIES: Final[tuple[Durability, ...]] = ("os", "fsync", "memory")
_SIGNAL: Final = "signal"
_WAITING: Final = "signal while it waits"


class _Ledger:
    """Which records were tried, and what is promised of each."""

    def __init__(self) -> None:
        self.tried = 0
        self.promised: set[int] = set()
        self.synced: set[int] = set()
        self._excused: set[int] = set()

    def promise(self, number: int) -> None:
        """Promise that a record is in exactly one object."""
        if number not in self._excused:
            self.promised.add(number)

    def excuse(self, ids: set[int]) -> None:
        """Promise no more of these than that they are in no two objects."""
        self._excused |= ids
        self.promised -= ids


class _Folder:
    """A folder, the lives on it, and the bucket that they upload to."""

    def __init__(self, choices: Choices, trouble: float, switch: Switch, world: World) -> None:
        self.world, self.switch = world, switch
        world.never("worker asleep")  # whoever sleeps holds the folder's lock
        capacity = (None, None, 24_000, 60_000)[choices.below(4)]
        self.disk = SimDisk(world, capacity, is_ordered=choices.below(4) != 3)
        self.disk.on_removal = self.excuse_removed
        self.server = SimS3(world, checks=not choices.below(3))
        self.is_listed = choices.below(3) != 2
        self.ledger = _Ledger()
        self.was_cut = False
        self.losses: list[BaseException] = []

    @property
    def was_damaged(self) -> bool:
        """Whether more happened than that a process ended."""
        return self.was_cut or bool(self.disk.removed)

    def check(self) -> None:
        assert not self.switch.hung, self.switch.hung
        assert not self.server.violations, self.server.violations
        found = collections.Counter(number for key in self._keys() for number in self._ids(key))
        duplicated = {number: times for number, times in found.items() if times > 1}
        assert not duplicated, f"duplicated, listed twice: {duplicated}"
        lost = self.ledger.promised - set(found)
        assert not lost, f"lost, in no manifest: {sorted(lost)}"
        left = [name for name in self.disk.names if name != "lock" and not name.endswith(".damaged")]
        assert not left, f"left {left}"
        assert self.was_damaged or sorted(self.disk.names) == ["lock"], sorted(self.disk.names)

    def _keys(self) -> list[str]:
        """Return the objects that count, as often as they are listed."""
        data = [key for key in self.server.objects if key.startswith(f"{PREFIX}data/")]
        if not self.is_listed:
            return data
        manifests = [key for key in self.server.objects if key.startswith(f"{PREFIX}manifests/")]
        entries = [entry for key in manifests for entry in json.loads(self.server.objects[key].body)["entries"]]
        return [entry["url"].removeprefix("s3://bucket/") for entry in entries]

    def _ids(self, key: str) -> list[int]:
        body = self.server.objects[key].body
        if not self.is_listed:
            return [_id(record) for record in json.loads(body)]
        inflater = zlib.decompressobj(31)
        text = inflater.decompress(body)
        assert inflater.eof and not inflater.unused_data, f"{key} is no single member"  # noqa: PT018
        return [_id(json.loads(line)) for line in text.splitlines()]

    def excuse_unuploaded(self, ids: set[int]) -> None:
        """Promise nothing of those of these records that are in no object yet."""
        data = [key for key in self.server.objects if key.startswith(f"{PREFIX}data/")]
        self.ledger.excuse(ids - {number for key in data for number in self._ids(key)})

    def excuse_removed(self) -> None:
        """Promise nothing of records in files that another program removed, and in others of the same buffer."""
        removed = self.disk.removed
        stems = {name.partition(".")[0] for name, _ in removed}
        others = [(name, file) for name, file in self.disk.names.items() if name.partition(".")[0] in stems]
        for name, file in [*removed, *others]:
            self.ledger.excuse(_ids_in(name, bytes(file.data)))

    def report(self, error: BaseException) -> None:
        """Get what `threading.excepthook` would."""
        self.losses.append(error)


class _Life:
    """One process: a program that appends, flushes, lists and ends, or is killed."""

    def __init__(self, folder: _Folder, *, is_last: bool) -> None:
        choices = folder.world.choices
        self._folder = folder
        self._world = folder.world
        self._is_last = is_last
        self.durability = _DURABILITIES[choices.below(len(_DURABILITIES))]
        self._arguments: dict[str, Any] = {
            "scheduler_interval": (0, 5.0)[choices.below(2)],
            "durability": self.durability,
            "upload_threads": 1 + choices.below(2),
            "max_disk_bytes": None if is_last else (None, None, 3_000)[choices.below(3)],
            "retry": Retry(base_seconds=1.0, cap_seconds=5.0),
        }
        if folder.is_listed:
            self._arguments |= {"format": "json-lines", "compression": "gzip", "manifests": Manifests()}
        self._size_limit = 30 + 40 * choices.below(4)
        self._lines: set[tuple[str, int]] = set()
        if not is_last and folder.world.fails("life with signals", 0.1):
            self._lines = {_LINES[choices.below(len(_LINES))] for _ in range(_SIGNALS)}
        self.is_safe = False
        self.appended: set[int] = set()
        self.actor: Actor

    def start(self) -> None:
        self.actor = self._world.spawn("program", self._run)
        if not self._is_last:
            self.actor.can_freeze = True
            if self._lines:
                self._folder.switch.signalled[self.actor] = _WAITING

    def _run(self) -> None:
        streamer = self._attempt(self._make)
        if streamer is None:
            return
        if self._is_last:
            self._end_well(streamer)
            return
        self._open(streamer)
        helper = self._world.spawn("appender", lambda: self._append_some(streamer), is_thread=True)
        for _ in range(4 + self._world.choices.below(_STEPS)):
            self._step(streamer)
        while not helper.ended:
            self._world.sleep(0.05)
        left = self._attempt(lambda: streamer.shut_down(30.0))
        self.is_safe = left is not None and all(file.place != "memory" for file in left)

    def _end_well(self, streamer: JsonBufferStreamer) -> None:
        try:
            streamer.flush()
        except UploadsFailedError as exc:
            if not self._folder.was_damaged or {file.place for file in exc.files} != {"lost"}:
                raise
            streamer.flush()
        if self._folder.is_listed:
            streamer.write_manifests()
        left = streamer.shut_down()
        assert left == (), f"left {left}"

    def _make(self) -> JsonBufferStreamer:
        uploader = StoreUploader(sim_store(self._folder.server, checksums=True))
        return JsonBufferStreamer(uploader, pathlib.Path(FOLDER), **self._arguments)

    def _open(self, streamer: JsonBufferStreamer) -> None:
        for namespace in "ab":
            self._attempt(lambda namespace=namespace: streamer.open("web", namespace, self._size_limit, 20.0))  # type: ignore[misc]

    def _append_some(self, streamer: JsonBufferStreamer) -> None:
        for _ in range(self._world.choices.below(4)):
            self._append(streamer, may_signal=False)

    def _step(self, streamer: JsonBufferStreamer) -> None:
        choice = self._world.choices.below(14)
        if choice < 8:
            self._append(streamer)
        elif choice == 8:
            self._attempt(lambda: streamer.flush(20.0))
        elif choice == 9:
            if self._folder.is_listed:
                self._attempt(streamer.write_manifests)
        elif choice == 10:
            self._attempt(streamer.run_scheduled)
        elif choice == 11:
            self._attempt(lambda: streamer.close("web", "a", 20.0))
            self._open(streamer)
        elif choice == 12:
            self._world.sleep(1.0 + self._world.choices.below(30))
        else:
            _ = streamer.stats

    def _append(self, streamer: JsonBufferStreamer, *, may_signal: bool = True) -> None:
        ledger, choices = self._folder.ledger, self._world.choices
        number = ledger.tried
        ledger.tried += 1
        record = {"i": number, "x": "x" * (7 * choices.below(6))}
        done: list[int] = []

        def append() -> None:
            streamer.append("web", "ab"[number % 2], record)
            done.append(number)

        self._attempt(append, may_signal=may_signal)
        if done:
            ledger.promise(number)
            self.appended.add(number)
            if self.durability == "fsync":
                ledger.synced.add(number)

    def _attempt(self, call: Callable[[], Any], *, may_signal: bool = True) -> Any:
        """Call as a program does that goes on after an error; the result, None after one."""
        if self._is_last:
            return call()
        try:
            return interrupted(self._lines, call) if may_signal and self._lines else call()
        except (S3BoxError, OSError):
            return None
        except Late:
            self._world.faults[_SIGNAL] += 1
            return None


def streamer(choices: Choices, trouble: float = 1.0) -> World:
    """Run one schedule; raises AssertionError if what must hold does not."""
    world = World(choices, trouble)
    reported: list[BaseException] = []
    with on_locks(world, reported.append) as switch:
        folder = _Folder(choices, trouble, switch, world)
        with on_disk(folder.disk):
            number = 2 + choices.below(3)
            for place in range(number):
                is_last = place == number - 1
                if is_last:
                    world.trouble, folder.disk.capacity = 0.0, None
                life = _Life(folder, is_last=is_last)
                life.start()
                world.run(lambda life=life: life.actor.ended or life.actor.is_dead)  # type: ignore[misc]
                _check_end(life)
                if not is_last:
                    _end(folder, life)
            world.run_all()
            folder.check()
    return world


def _check_end(life: _Life) -> None:
    error = life.actor.error
    if error is not None:
        raise AssertionError(f"{type(error).__name__}: {error}") from error


def _end(folder: _Folder, life: _Life) -> None:
    """End a process, and maybe the machine."""
    actor = life.actor
    is_safe = life.is_safe and actor.ended
    actor.is_dead = True  # its threads end with it
    sys.settrace(None)  # of a call that was to be interrupted
    folder.disk.end(actor)
    folder.excuse_removed()  # what was written to files that were removed while they were open
    if folder.world.fails("power cut", 0.15):
        folder.disk.cut_power()
        folder.was_cut = True
        folder.excuse_unuploaded(folder.ledger.promised - folder.ledger.synced)
    if life.durability == "memory" and not is_safe:
        folder.excuse_unuploaded(life.appended)


def _id(record: dict[str, int]) -> int:
    assert "i" in record, f"{record} was never appended"
    return record["i"]


def _ids_in(name: str, body: bytes) -> set[int]:
    """Return the records of a file of the folder."""
    if name.endswith(".json.gz"):
        body = _readable(body)
    found = set()
    for text in body.splitlines():
        line = text.rstrip(b",")
        if line.startswith(b'{"i":') and line.endswith(b"}"):
            found.add(json.loads(line)["i"])
    return found


def _readable(body: bytes) -> bytes:
    """Return the text of a gzip file as far as a power cut has left it."""
    inflater, text = zlib.decompressobj(31), b""
    with contextlib.suppress(zlib.error):
        for place in range(len(body)):
            text += inflater.decompress(body[place : place + 1])
    return text
