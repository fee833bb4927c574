"""The commit alone, crowded: several lives of one run, each begun where the one before was lost, all awake at the end.

A life does what a runner gives to its workers: the bundles that write manifests, one after the other, and the finish.
One that was lost ends the bundle that it has in hand, whenever it wakes.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import itertools
import json
from collections.abc import Callable
from typing import Any, Final

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.errors import OutdatedWorkError, TransientStoreError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, ShardFile
from tests.simulation.oracle import PREFIX, check_once, record_of
from tests.simulation.s3 import SimS3, sim_store
from tests.simulation.threads import Tasks, on_actors
from tests.simulation.world import Actor, Choices, World

_STREAM: Final = Stream("web", "clicks")
_IDS: Final = 8
_FIRINGS: Final = 3


class _Crowd:
    """One run, whose shards hold known records, and the lives that write its manifests."""

    def __init__(self, choices: Choices, trouble: float) -> None:
        self.world = world = World(choices, trouble)
        self.bounded = not choices.below(2)
        if not self.bounded:
            world.never("reply lost, lands later")  # a request of a dead worker that lands last: not covered
        self.scope = None if choices.below(2) else _STREAM
        self.count = 1 + choices.below(3)
        self.server = SimS3(world, checks=True)
        self.store = sim_store(self.server, checksums=True)
        self.claim = RunClaim(Layout("run"), "attempt", bounded=self.bounded)
        self.held: dict[str, list[int]] = {}
        self._numbers = itertools.count()
        self._cuts: dict[int, list[ShardFile]] = {}

    def shards(self, ids: list[int]) -> list[ShardFile]:
        """Return shards of these records, cut differently, or as the life before has cut them.

        What was cut before that does not come back: a runner that goes back has the last that it kept, or none.
        """
        if ids[0] in self._cuts and self.world.choices.below(2):
            return self._cuts[ids[0]]
        files: list[ShardFile] = []
        start = 0
        while start < len(ids):
            size = 1 + self.world.choices.below(len(ids) - start)
            key = f"data/web/clicks/{next(self._numbers):05d}.json.gz"
            url = self.store.url(key)
            self.held[url] = ids[start : start + size]
            files.append(ShardFile("web", "clicks", "", url, key, size, 10, 10 + size, "ab", "records"))
            start += size
        self._cuts[ids[0]] = files
        return files

    def check(self) -> None:
        assert not self.server.violations
        if self.bounded:
            record = record_of(self.server)
            assert record is not None
            assert record["state"] == "finished"
            keys = [PREFIX + row["key"] for row in record["manifests"]]
            for key, row in zip(keys, record["manifests"], strict=True):
                assert key in self.server.objects, f"{key} is gone"
                digest = hashlib.sha256(self.server.objects[key].body).hexdigest()
                assert digest == row["sha256"], f"{key} is not what the record says"
        else:
            keys = [key for key in self.server.objects if key.startswith(f"{PREFIX}manifests/")]
        entries = [entry for key in keys for entry in json.loads(self.server.objects[key].body)["entries"]]
        listed = collections.Counter(one for entry in entries for one in self.held[entry["url"]])
        check_once(listed, range(_IDS))


class _Life:
    """A worker of the run from a checkpoint on."""

    def __init__(self, crowd: _Crowd, done: int, lineage: Lineage, *, is_last: bool) -> None:
        self._crowd = crowd
        self._done = done
        self._is_last = is_last
        self._rows: list[Manifest] = []
        self.checkpoints = [(done, lineage)]
        self.actor: Actor
        self._bundles: list[Callable[[], None]] = []
        if crowd.bounded:
            files = crowd.shards(list(range(_IDS)))
            self._bundles = [lambda: self._write(files), self._finish]
        else:
            for number in range(done, _FIRINGS):
                ids = list(range(number * 3, min(_IDS, number * 3 + 3)))
                self._bundles.append(functools.partial(self._fire, number, crowd.shards(ids)))

    def start(self) -> None:
        self.actor = self._crowd.world.spawn("life", self._live)

    @property
    def is_lost(self) -> bool:
        return self.actor.is_dead or self.actor.was_frozen

    def _live(self) -> None:
        for bundle in self._bundles:
            self._until_done(bundle)
            if self.is_lost:
                return

    def _until_done(self, bundle: Callable[[], None]) -> None:
        while True:
            self.actor.can_freeze = False
            try:
                bundle()
                return
            except (OutdatedWorkError, TransientStoreError):
                if self.is_lost:
                    return
                self._crowd.world.sleep(2.0)

    def _begin(self) -> Publisher:
        publisher = Publisher.begin(self._crowd.store, self._crowd.claim)
        self.actor.can_freeze = not self._is_last
        return publisher

    def _write(self, files: list[ShardFile]) -> None:
        crowd = self._crowd
        plans = plan_manifests(crowd.scope, "", 0, files, crowd.count)
        self._rows = self._begin().write_all(plans, Tasks(crowd.world))

    def _finish(self) -> None:
        self.actor.can_freeze = not self._is_last
        crowd = self._crowd
        crowd.claim.finish(crowd.store, self._rows, NOTHING, len(self._rows))

    def _fire(self, number: int, files: list[ShardFile]) -> None:
        crowd, before = self._crowd, self.checkpoints[-1][1]
        plans = before.number(plan_manifests(crowd.scope, f"window-{number}", 0, files, crowd.count))
        publisher = self._begin()
        publisher.write_firing(plans, before)
        if not self.is_lost:  # a lost worker tells its runner nothing
            self.checkpoints.append((number + 1, before.after(publisher.key(plans[0]), plans[0])))


def commit(choices: Choices, trouble: float = 1.0) -> World:
    """Run one schedule; raises AssertionError if what must hold does not."""
    crowd = _Crowd(choices, trouble)
    world = crowd.world
    with on_actors(world):
        world.only(())
        taken = world.spawn("claim", lambda: crowd.claim.take(crowd.store))
        world.run(lambda: taken.ended)
        world.only(None)
        lives = 2 + choices.below(3)
        checkpoints: list[Any] = [(0, Lineage())]
        for number in range(lives):
            done, lineage = checkpoints[choices.below(len(checkpoints))] if number else checkpoints[0]
            life = _Life(crowd, done, lineage, is_last=number == lives - 1)
            if life._is_last:
                # when the faults stop, all is listed
                world.only(("worker asleep", "worker killed"))
            life.start()
            world.run(lambda life=life: life.actor.ended or life.is_lost)  # type: ignore[misc]
            if life._is_last and life.actor.error is not None:
                raise AssertionError(f"the live worker failed: {life.actor.error!r}") from life.actor.error
            # the next one begins at a checkpoint that this life, or one before it, had reached
            checkpoints = [*(one for one in checkpoints if one[0] <= done), *life.checkpoints[1:]]
        if crowd.bounded:
            crowd.check()
        world.run_all()
        # of an unbounded run only now: a worker that woke has looked, and removed what it wrote
        crowd.check()
    return world
