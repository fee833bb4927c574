"""A run under one claim, and the lives that a runner gives it: bundle by bundle, with the state of a checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.errors import (
    ObjectChangedError,
    ObjectExistsError,
    OutdatedWorkError,
    S3BoxError,
    TransientStoreError,
)
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import ObjectInfo
from beam_s3box.stores.memory import MemoryStore

STREAM = Stream("web", "clicks")
IDS = range(8)
ASLEEP = 100.0
"""Seconds that an outdated worker sleeps: other workers have its work by then."""


class Ticks:
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def etag_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class Calls(MemoryStore):
    """A store that calls a hook before each of its calls, and after it; the hook may raise.

    Like S3 it gives the same bytes the same ETag, whoever writes them.
    """

    def __init__(self, clock: Ticks) -> None:
        super().__init__(new_token(12), clock)
        self.hook: Callable[[str, str], None] = lambda name, when: None

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if arguments.get("if_match") is not None:
            arguments["if_match"] = self._etag_here(key, arguments["if_match"])
        return super().put(key, body, **arguments)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        super().delete(key, if_match=if_match if if_match is None else self._etag_here(key, if_match))

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        body, info = super().read(key)
        return body, info._replace(etag=etag_of(body))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for info in super().list(prefix):
            state = self._state(info.key)
            yield info._replace(etag=etag_of(state.body if state and state.body else b""))

    def _etag_here(self, key: str, etag: str) -> str:
        state = self._state(key)
        return state.etag if state and state.body is not None and etag_of(state.body) == etag else "another"

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("put", "read", "stat", "list", "delete", "get"):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.hook(name, "before")
            result = found(*args, **kwargs)
            self.hook(name, "after")
            return result

        return call


class LooksFirst(Calls):
    """A store whose server knows no conditions: it looks, and writes or removes whatever exists by then."""

    conditional_create = conditional_replace = conditional_delete = False

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if_match = arguments.pop("if_match", None)
        state = self._state(key)
        there = None if state is None else state.body
        if there is not None and not arguments.pop("replace", False):
            raise ObjectExistsError(f"{key} exists")
        if if_match is not None and (there is None or etag_of(there) != if_match):
            raise ObjectChangedError(f"{key} is another")
        return super().put(key, body, **{**arguments, "replace": True})


class OnThisThread(Executor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - it is raised where the future is asked
            future.set_exception(exc)
        return future


@dataclasses.dataclass
class World:
    """One run under one claim, and what its shards hold."""

    per: str
    count: int
    bounded: bool
    clock: Ticks = dataclasses.field(default_factory=Ticks)
    held: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)
    kind: type[Calls] = Calls

    def __post_init__(self) -> None:
        self.store = self.kind(self.clock)
        self.claim = RunClaim(Layout("run"), "attempt", bounded=self.bounded)
        self.claim.take(self.store)
        self.scope = STREAM if self.per == "stream" else None

    def shards(self, *groups: list[int]) -> list[ShardFile]:
        """Return new shards, each of some records."""
        made = []
        for ids in groups:
            key = f"data/web/clicks/{next(self.numbers):05d}.json.gz"
            url = self.store.url(key)
            self.held[url] = ids
            made.append(ShardFile("web", "clicks", "", url, key, len(ids), 10, 10 + len(ids), "ab", "records"))
        return made

    def listed(self, keys: list[str]) -> Counter[int]:
        entries = [entry for key in keys for entry in json.loads(self.store.get(key))["entries"]]
        return Counter(number for entry in entries for number in self.held[entry["url"]])


def until_done(bundle: Callable[[], Any]) -> Any:
    """Do a bundle as a runner does: again, and later, when it fails."""
    for _ in range(4):
        with contextlib.suppress(OutdatedWorkError, TransientStoreError):
            return bundle()
    pytest.fail("the live worker never got through")


class Bounded:
    """A backfill: the manifests are one bundle, the commit is another."""

    def __init__(self, world: World, files: list[ShardFile]) -> None:
        self.world = world
        self.files = files

    def bundles(self) -> Iterator[Callable[[], None]]:
        world = self.world
        listed: list[tuple[Manifest, tuple[ShardFile, ...]]] = []

        def write() -> None:
            plans = plan_manifests(world.scope, "", 0, self.files, world.count)
            rows = Publisher.begin(world.store, world.claim).write_all(plans, OnThisThread())
            listed[:] = [(row, plan.files) for row, plan in zip(rows, plans, strict=True)]

        def finish() -> None:
            detail = write_lists(world.store, world.claim.layout, listed, None, world.clock.now)
            world.claim.finish(world.store, [row for row, _ in listed], NOTHING, len(self.files), detail)

        yield write
        yield finish

    @staticmethod
    def committed(world: World) -> list[str]:
        record = world.claim.check_held(world.store)
        assert record.state == "finished"
        for row in record.manifests:
            assert world.store.stat(row.key).sha256 == row.sha256
        return [row.key for row in record.manifests]


class Unbounded:
    """A stream from its last checkpoint on: each firing is a bundle, and the lineage is the runner's state."""

    def __init__(self, world: World, firings: list[list[ShardFile]], lineage: Lineage) -> None:
        self.world = world
        self.firings = firings
        self.lineage = lineage

    def bundles(self) -> Iterator[Callable[[], None]]:
        for number, files in enumerate(self.firings):
            yield lambda number=number, files=files: self.fire(f"window-{number}", files)  # type: ignore[misc]

    def fire(self, window: str, files: list[ShardFile]) -> None:
        world, before = self.world, self.lineage
        plans = before.number(plan_manifests(world.scope, window, 0, files, world.count))
        publisher = Publisher.begin(world.store, world.claim)
        publisher.write_rows(plans, world.clock.now)
        publisher.write_firing(plans, before)
        self.lineage = before.after(publisher.key(plans[0]), plans[0])

    @staticmethod
    def committed(world: World) -> list[str]:
        return [info.key for info in world.store.list("manifests/")]


def groups_of(shards: str, old: list[list[int]]) -> list[list[int]]:
    """Return how the second time cuts what the first one had cut like this."""
    if shards == "fewer":
        return [[number for ids in old for number in ids]]
    return [[number] for ids in old for number in ids] if shards == "more" else old


def lives(world: World, shards: str, times: int) -> list[Bounded | Unbounded]:
    """Return the first life of a run, and as many later ones; an unbounded run has fired once before all of them."""
    old = [[0, 1], [2, 3], [4, 5], [6, 7]]
    if world.bounded:
        first = world.shards(*old)
        lists = [first]
        for _ in range(times):
            if shards in ("mixed", "parts"):
                lists.append(first[:2] + world.shards(*old[2:]))
            else:
                lists.append(first if shards == "same" else world.shards(*groups_of(shards, old)))
        return [Bounded(world, files) for files in lists]
    start = Unbounded(world, [world.shards([0], [1])], Lineage())
    until_done(next(start.bundles()))
    made = [world.shards(*([number] for number in ids)) for ids in old[1:]]
    firings = [made]
    for _ in range(times):
        new = [world.shards(*([number] for number in ids)) for ids in groups_of(shards, old[1:])]
        if shards == "mixed":  # what a checkpoint held is listed again as it was, behind what was cut again
            new[1:] = made[1:]
        elif shards == "parts":  # the second shard of the first firing came too late for it
            new = [made[0][:1], world.shards([old[1][1]]), *made[1:]]
        firings.append(made if shards == "same" else new)
    return [Unbounded(world, each, start.lineage) for each in firings]


def live(life: Bounded | Unbounded) -> None:
    for bundle in life.bundles():
        until_done(bundle)


def check(world: World) -> None:
    life = Bounded if world.bounded else Unbounded
    committed = life.committed(world)
    assert world.listed(committed) == Counter(IDS)
    # what a reader of the record finds is the same, each shard by the manifest that lists it and its digest
    run = find_run(world.store, "run")
    rows = list(run.shards())
    assert Counter(number for row in rows for number in world.held[row.shard.url]) == Counter(IDS)
    assert {row.manifest for row in rows} == {manifest.key for manifest in run.manifests()} == set(committed)
    assert all(row.shard.sha256 == "ab" for row in rows), "read from a manifest and not from a list"
    for one in run.record.shard_lists:
        assert world.store.stat(one.key).sha256 == one.sha256


class Stop(Exception):
    """What ends a worker."""


def die() -> None:
    raise Stop


def interrupted(world: World, life: Bounded | Unbounded, step: int, what: Callable[[], None]) -> bool:
    """Let a life go on until its call number `step`, then do something else there; return whether it came to that.

    A worker that was interrupted does no other bundle, but ends the one that it has: it was cut off from its runner.
    """
    calls, happened = itertools.count(), False

    def hook(name: str, when: str) -> None:
        nonlocal happened
        if not happened and next(calls) == step:
            happened = True
            world.store.hook = lambda name, when: None
            what()

    for bundle in life.bundles():
        world.store.hook = hook
        with contextlib.suppress(Stop, S3BoxError):
            bundle()
        world.store.hook = lambda name, when: None
        if happened:
            return True
    return False
