"""Garbage is collected, and runs are compacted, all the time, next to runs that write and are killed: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from beam_s3box.engine.run_reader import list_runs
from beam_s3box.runs.compact import Compaction
from beam_s3box.runs.gc.collector import Collector
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store
from tests.runs.made_runs import listing
from tools.seaweedfs import REGION, Server

ROOT = Path(__file__).parents[2]
OLDER_THAN = FENCE = 3.0
SECONDS, LIFE = 40.0, 4.0

WRITER = """
import hashlib, json, random, sys, time
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import S3Settings, S3Store
from beam_s3box.stores.s3_settings import Credentials
from tests.runs.made_runs import Made, Part
url, endpoint, key, secret, run_id, first, kind = sys.argv[1:]
store = S3Store(url, S3Settings("us-east-1", endpoint), lambda: Credentials(key, secret))
made = Made(store, run_id, bounded=kind == "bounded")
number, parts = int(first), []
for turn in range(1000):
    body = f"{time.time()}".encode()
    store.put(Layout(run_id).alive("0123456789ab"), body, sha256=hashlib.sha256(body).hexdigest(),
        content_type="text/plain", replace=True)
    part = Part([[number + 2 * turn], [number + 2 * turn + 1]])
    files = [made.shard(part, ids) for ids in part.shards]
    made.shard(part, [10**9 + number + turn])
    if kind == "unbounded":
        # longer than shards are kept that nobody lists, while signs of life go on
        for _ in range(random.choice([0, 0, 1, 9])):
            time.sleep(0.5)
            store.put(Layout(run_id).alive("0123456789ab"), body, sha256=hashlib.sha256(body).hexdigest(),
                content_type="text/plain", replace=True)
        made.fire(part, files)
        print(json.dumps([number + 2 * turn, number + 2 * turn + 1]), flush=True)
    elif turn == 3:
        parts = [Part([[number], [number + 1]])]
        made.finish(parts)
        print(json.dumps([number, number + 1]), flush=True)
        break
    time.sleep(0.2)
"""


class Writers:
    """Processes that write runs, and are killed and followed by others."""

    def __init__(self, store: S3Store, server: Server) -> None:
        self._store, self._server = store, server
        self._alive: list[subprocess.Popen[str]] = []
        self._ended: list[subprocess.Popen[str]] = []
        self._count = 0

    def start(self, kind: str) -> None:
        self._count += 1
        keys = self._server.writer
        arguments = [self._store.root, self._server.endpoint_url, keys.access_key, keys.secret_key]
        more = [f"{kind}-{self._count}", f"{self._count * 10_000}", kind]
        command = [sys.executable, "-c", WRITER, *arguments, *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._alive.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment))

    def kill_one(self) -> None:
        victim = self._alive.pop(random.randrange(len(self._alive)))
        victim.kill()
        self._ended.append(victim)

    def end(self) -> list[int]:
        """Kill all, and return the ids that were listed for certain."""
        while self._alive:
            self.kill_one()
        found: list[int] = []
        while self._ended:
            out, _ = self._ended.pop().communicate()
            found += [
                number for line in out.splitlines(keepends=True) if line.endswith("\n") for number in json.loads(line)
            ]
        return found


@pytest.fixture
def writers(s3_server: Server) -> Iterator[Writers]:
    store = S3Store(
        f"s3://{s3_server.bucket}/{new_token(12)}", S3Settings(REGION, s3_server.endpoint_url), s3_server.admin
    )
    made = Writers(store, s3_server)
    yield made
    made.end()


def test_no_listed_shard_is_lost(writers: Writers, note: Callable[[str], None]) -> None:
    store = writers._store
    for kind in ("unbounded", "bounded", "unbounded", "unbounded"):
        writers.start(kind)
    began = killed = time.monotonic()
    freed, collections, compactions, marked = 0, 0, 0, set[str]()
    while time.monotonic() - began < SECONDS:
        done = Collector(store, OLDER_THAN, fence_seconds=FENCE, min_silent_seconds=OLDER_THAN).collect()
        freed, collections, marked = freed + done.total.objects, collections + 1, marked | done.marked.keys()
        for run in list_runs(store):
            if run.record.kind != "compact" and (not run.record.bounded or run.record.state == "finished"):
                compactions += bool(Compaction(run, settled_seconds=2.0).compact().run_id)
        if time.monotonic() - killed > LIFE:
            writers.kill_one()
            writers.start(random.choice(["unbounded", "bounded"]))
            killed = time.monotonic()
    listed = writers.end()
    found = listing(store)
    assert set(listed) <= set(found.all_ids)
    assert len(found.all_ids) == len(set(found.all_ids))
    assert all(number < 10**9 for number in found.all_ids)
    until = time.monotonic() + 180
    while time.monotonic() < until:
        time.sleep(FENCE + 1)
        done = Collector(store, OLDER_THAN, fence_seconds=FENCE, min_silent_seconds=OLDER_THAN).collect()
        freed += done.total.objects
        if not done.total.objects and not done.marked and not _unlisted(store):
            break
    assert listing(store) == found
    assert _unlisted(store) == []
    note(
        f"{collections} collections, {compactions} compactions, {len(marked)} dead runs, {freed} objects freed, "
        f"{len(found.all_ids)} records kept"
    )
    assert freed > 0
    assert marked


def _unlisted(store: S3Store) -> list[str]:
    return sorted({info.key for info in store.list("data/")} - set(listing(store).shards))
