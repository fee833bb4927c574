"""Print how fast runs are compacted and garbage is collected: `python -m tools.bench.maintenance`.

A compaction is compared with decompressing and compressing the same shards again (`gunzip | gzip`, from a local disk),
and with the limit of the network: the same bytes, read and written by as many threads and nothing else.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.engine.uploads import Uploader
from beam_s3box.formats import JSON_LINES
from beam_s3box.records.streams import Stream
from beam_s3box.runs.compact import Compaction
from beam_s3box.runs.gc.collector import Collector
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import SealedShard, ShardFile, size_of
from beam_s3box.shards.runs import new_origin, new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores import S3Settings, S3Store
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE
from tools.seaweedfs import REGION, Server, seaweedfs

STREAM = Stream("bench", "clicks")
SIZES = ((400, 0.25), (8, 12.0))
"""Shards, and MiB of each: small ones, which are read and sent, and large ones, which the server copies."""

ROUNDS = 3
ORPHANS = 5_000
_THREADS = 16


def main() -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with seaweedfs("bench") as server:
        lines = [line for shards, mib in SIZES for line in _compaction(server, shards, mib)]
        lines.append(Line("gc, objects a second", [_collection(server) for _ in range(ROUNDS)]))
    report("maintenance", lines)


def _compaction(server: Server, shards: int, mib: float) -> Iterator[Line]:
    store = _store(server)
    files = _write_run(store, "run", shards, int(mib * MiB))
    size = size_of(files).object_bytes / 1e6
    found: dict[str, list[float]] = {"compact": [], "network": [], "recompressed": []}
    for _ in range(ROUNDS):
        found["compact"].append(size / _seconds(lambda: Compaction(find_run(store, "run")).compact()))
        _forget_compaction(store)
        found["network"].append(size / _seconds(lambda: _copy(store, files)))
        found["recompressed"].append(size / _recompress(store, files))
    name = f"compact, {shards} shards of {mib} MiB"
    yield Line(f"{name}, MB a second", found["compact"])
    for other, what in (("network", "the network's limit"), ("recompressed", "gunzip | gzip")):
        pairs = zip(found["compact"], found[other], strict=True)
        yield Line(f"{name} : {what}, speed", [ours / theirs for ours, theirs in pairs])


def _write_run(store: S3Store, run_id: str, shards: int, size: int) -> list[ShardFile]:
    """Write a run with so many shards of about this size, of records that compress about threefold."""
    claim = RunClaim(Layout(run_id), new_token())
    claim.take(store)
    uploader, origin = Uploader(store, JSON_LINES, claim.layout), new_origin()

    def write(number: int) -> ShardFile:
        first = segments[number % len(segments)]
        more = [segments[each % len(segments)] for each in range(size // len(first.data) - 1)]
        return uploader.upload(SealedShard(STREAM, "", origin, number, "records", (first, *more))).file

    segments = [JSON_LINES.cut(_lines(number)) for number in range(16)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        files = list(pool.map(write, range(shards)))
    [plan] = plan_manifests(STREAM, "", 0, files, 1)
    manifest = Publisher.begin(store, claim).write(plan)
    totals = InputTotals(accepted=size_of(files).records)
    detail = write_lists(store, claim.layout, [(manifest, plan.files)], totals, time.time())
    claim.finish(store, [manifest], size_of(files), len(files), detail)
    return files


def _lines(number: int) -> list[bytes]:
    seed = hashlib.shake_256(b"%d" % number).digest(40_000)
    return [
        b'{"carrier":"AA","origin":"JFK","destination":"LAX","id":%d,"token":"%s"}'
        % (each, seed[20 * each : 20 * each + 20].hex().encode())
        for each in range(2_000)
    ]


def _forget_compaction(store: S3Store) -> None:
    for folder in ("runs/compact-", "manifests/compact-", "runs/run/compacted/"):
        for info in list(store.list(folder)):
            store.delete(info.key)


def _copy(store: S3Store, files: list[ShardFile]) -> None:
    """Read all shards, and write the same bytes in objects of the size of compacted ones."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        bodies = list(pool.map(lambda file: store.get(file.key), files))
        whole = b"".join(bodies)
        parts = [whole[begin : begin + 64 * MiB] for begin in range(0, len(whole), 64 * MiB)]
        list(pool.map(lambda part: _put(store, part), parts))


def _put(store: S3Store, body: bytes) -> None:
    key = f"copied/{new_token()}"
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip")


def _recompress(store: S3Store, files: list[ShardFile]) -> float:
    """Return the seconds that gunzip | gzip takes for the shards, from a local file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "all.gz")
        with path.open("wb") as file:
            for shard in files[: max(1, len(files) // 4)]:
                file.write(store.get(shard.key))
        share = path.stat().st_size / size_of(files).object_bytes
        command = f"gunzip -c {path} | gzip -c > /dev/null"
        return _seconds(lambda: subprocess.run(command, shell=True, check=True)) / share


def _collection(server: Server) -> float:
    """Return the objects a second that a garbage collection looks at and frees."""
    store = _store(server)
    claim = RunClaim(Layout("run"), new_token())
    claim.take(store)

    def write(number: int) -> None:
        body = b"x" * 100
        key = Layout("run").shard(STREAM, "", "0123456789ab", number, "0123456789ab", ".json.gz")
        store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(ORPHANS)))
    claim.fail(store, "for the measurement")
    time.sleep(2.5)
    freed: list[Any] = []
    seconds = _seconds(lambda: freed.append(Collector(store, older_than=0.0).collect()))
    if freed[0].total.objects != ORPHANS:
        raise RuntimeError(f"{freed[0].total.objects} of {ORPHANS} objects were freed")
    return ORPHANS / seconds


def _seconds(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def _store(server: Server) -> S3Store:
    return S3Store(f"s3://{server.bucket}/{new_token(12)}", S3Settings(REGION, server.endpoint_url), server.admin)


if __name__ == "__main__":
    main()
