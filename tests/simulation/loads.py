"""Loaders that load the same manifests at the same time, are killed and begun again, while manifests are replaced."""

from __future__ import annotations

import collections
import hashlib
import itertools
import json
from typing import Any, Final

from beam_s3box.errors import LoadError, ManifestReplacedError, S3BoxError, TransientLoadError
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.stores.retries import Retry
from tests.simulation.data_api import DataApi
from tests.simulation.redshift import TABLE, SimRedshift
from tests.simulation.threads import on_actors
from tests.simulation.world import Actor, Choices, World

_ROLE: Final = "arn:aws:iam::123456789012:role/copy"
_MANIFESTS: Final = 4
_IDS: Final = 3
"""Records of a manifest; one that is replaced may have one more."""

_WAYS: Final[tuple[tuple[Any, Any], ...]] = (
    ("append", "error"),
    ("append", "skip"),
    ("upsert", "reload"),
    ("truncate", "reload"),
)


def _url(number: int) -> str:
    return f"s3://bucket/manifests/run/web/clicks/{number}-00000-of-00001.manifest"


class _Warehouse:
    """A table, the manifests to load into it, and who loads them."""

    def __init__(self, world: World, choices: Choices) -> None:
        self.world = world
        self.mode, self.on_replaced = _WAYS[choices.below(len(_WAYS))]
        self.texts: dict[str, bytes] = {}
        self.shards: dict[str, list[int]] = {}
        self.versions: dict[str, list[list[int]]] = collections.defaultdict(list)
        self.server = SimRedshift(world, self.texts, self.shards)
        self.api = DataApi(self.server)
        self._loads = itertools.count()
        self._failed: dict[int, str] = {}
        for number in range(_MANIFESTS):
            self.write(number)

    def write(self, number: int, *, more: int = 0) -> None:
        """Write a manifest, or write it again with other shards, as an unbounded run does after a rollback."""
        url = _url(number)
        ids = list(range(10 * number, 10 * number + _IDS + more))
        cut = 1 + self.world.choices.below(len(ids))
        entries = []
        for part in filter(None, (ids[:cut], ids[cut:])):
            shard = f"s3://bucket/data/{len(self.shards)}.json.gz"
            self.shards[shard] = part
            entries.append({"url": shard, "mandatory": True, "meta": {"content_length": 9, "record_count": len(part)}})
        self.texts[url] = json.dumps({"entries": entries}).encode()
        self.versions[url].append(ids)

    def loader(self) -> RedshiftLoader:
        choices = self.world.choices
        connection: Any = self.server.connect
        if choices.below(2):
            connection = RedshiftDataApi("dev", workgroup="w", client=lambda: self.api)
        return RedshiftLoader(
            connection,
            iam_role=_ROLE,
            fetch=self.texts.__getitem__,
            retry=Retry(4, 1.0, 5.0),
            on_replaced=self.on_replaced,
        )

    def load(self, numbers: list[int]) -> LoadResult:
        keys = "id" if self.mode == "upsert" else None
        columns = ["id"] if self.world.choices.below(2) else None
        load = self.server.loads[self.server.client] = next(self._loads)
        try:
            result = self.loader().load_all(list(map(_url, numbers)), TABLE, self.mode, keys, columns=columns)
        except TransientLoadError:
            raise
        except LoadError as exc:
            self._failed[load] = f"{type(exc).__name__}: {exc}"
            raise
        self.check_result(numbers, result)
        return result

    def check_result(self, numbers: list[int], result: LoadResult) -> None:
        """Check that what a loader returns is so, before anybody else goes on."""
        assert result.outcome in ("loaded", "already-loaded"), result
        assert sorted((*result.loaded, *result.skipped)) == sorted(map(_url, numbers)), result
        for number in numbers:
            assert _url(number) in (self.server.entries or {}), f"{result}: the ledger knows nothing of {number}"
        self.check_table(numbers)

    def check_table(self, numbers: list[int]) -> None:
        """Check that the records of these manifests are in the table once, as one of their versions has them."""
        for number in numbers:
            found = {one: times for one, times in self.server.rows.items() if one // 10 == number and times}
            assert any(found == dict.fromkeys(ids, 1) for ids in self.versions[_url(number)]), (number, found)

    def check(self) -> None:
        # a manifest that is replaced between two attempts fails the second one, though the first may be committed
        replaced = self.world.faults["manifest replaced"]
        wrong = (
            {} if replaced else {load: error for load, error in self._failed.items() if load in self.server.committed}
        )
        assert not wrong, f"loads that failed are in the table: {wrong}"
        self.check_table(list(range(_MANIFESTS)))
        assert self.server.entries is not None
        assert sorted(self.server.entries) == sorted(map(_url, range(_MANIFESTS)))
        for number in range(_MANIFESTS):
            digest, records = self.server.entries[_url(number)]
            loaded = sum(times for one, times in self.server.rows.items() if one // 10 == number)
            is_now = digest == hashlib.sha256(self.texts[_url(number)]).hexdigest()
            # an upsert removes only rows whose keys come again: what a manifest lists no longer stays in the table, and
            # after a rollback another manifest has it. The versions here differ by their last record
            sizes = self.server.sizes[_url(number)]
            assert records == sizes[-1], (number, records, sizes)
            assert loaded == (max(sizes) if self.mode == "upsert" else records), (number, sizes, loaded)
            assert is_now or self.on_replaced != "reload", f"{number} was not loaded again"


def _run_loader(warehouse: _Warehouse) -> None:
    choices = warehouse.world.choices
    for _ in range(1 + choices.below(3)):
        numbers = list(range(_MANIFESTS))
        if warehouse.mode != "truncate":
            first = choices.below(_MANIFESTS)
            numbers = numbers[first : first + 1 + choices.below(_MANIFESTS)]
        try:
            warehouse.load(numbers)
        except S3BoxError:
            warehouse.world.sleep(float(choices.below(5)))


def _replace_some(warehouse: _Warehouse) -> None:
    world = warehouse.world
    for _ in range(world.choices.below(3)):
        world.sleep(float(world.choices.below(20)))
        world.faults["manifest replaced"] += 1
        warehouse.write(world.choices.below(_MANIFESTS), more=world.choices.below(2))


def redshift(choices: Choices, trouble: float = 1.0) -> World:
    """Run one schedule; raises AssertionError if what must hold does not."""
    world = World(choices, trouble)
    with on_actors(world):
        warehouse = _Warehouse(world, choices)
        actors: list[Actor] = []
        for _ in range(2 + choices.below(3)):
            actor = world.spawn("loader", lambda: _run_loader(warehouse))
            actor.can_freeze = True
            actors.append(actor)
        if choices.below(2):
            actors.append(world.spawn("writer", lambda: _replace_some(warehouse)))
        world.run_all()
        _raise_failures(actors)
        world.trouble = 0.0
        last = world.spawn("loader", lambda: _load_all(warehouse))
        world.run(lambda: last.ended)
        _raise_failures([last])
        world.run_all()
        warehouse.check()
    return world


def _load_all(warehouse: _Warehouse) -> None:
    """Load all, when the faults have stopped."""
    try:
        warehouse.load(list(range(_MANIFESTS)))
        return
    except ManifestReplacedError:
        assert warehouse.on_replaced == "error"
    for number in range(_MANIFESTS):
        try:
            warehouse.load([number])
        except ManifestReplacedError:
            assert len(warehouse.versions[_url(number)]) > 1


def _raise_failures(actors: list[Actor]) -> None:
    for actor in actors:
        if actor.error is not None:
            raise AssertionError(f"{actor.name}: {type(actor.error).__name__}: {actor.error}") from actor.error
