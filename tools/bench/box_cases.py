"""What an `S3Box` costs more than the bare loop; `python -m tools.bench.box_cases` prints the ratios and their goals.

Cases that are compared run in turn, A B A B …; the ratio is the median of the pairs. The box writes to memory, so that
nothing but the packing is measured; the bare loop compresses with the same codec and keeps its objects in memory, too.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import orjson
from zlib_ng import zlib_ng

from beam_s3box.box import S3Box
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tools.bench.data import SAMPLE
from tools.bench.goals import Line, report

SHARD_BYTES = 1_000_000
"""Raw bytes of a shard, the same for both sides."""

LINES_KEPT = 3_300
"""Lines that the loop that `pack` is compared with holds at a time: a shard's."""

THREADS = 8


class Ratio(NamedTuple):
    """Two cases compared; seconds of the first over seconds of the second shall be at most the goal.

    Attributes:
      name: what the ratio says.
      ours, theirs: the cases.
      goal: None where the ratio is only for information.
      clock: of the seconds: the wall's, or those that the calling thread works.
    """

    name: str
    ours: Callable[[], int]
    theirs: Callable[[], int]
    goal: float | None
    clock: Callable[[], float] = time.perf_counter


class Cases:
    """The cases, over the same records as dicts and as lines; each returns how many records it kept."""

    def __init__(self, rounds: int) -> None:
        self.lines = gzip.decompress(SAMPLE.read_bytes()).splitlines() * rounds
        self.dicts = [json.loads(line) for line in self.lines]

    def dumps_and_append(self) -> int:
        """Encode and append, and forget the lines as a box does, a shard at a time: to keep all would cost far more."""
        return _dump_all(self.dicts)

    def dumps_by_threads(self) -> int:
        """Do so on many threads, which share nothing: what the interpreter alone costs them."""
        with ThreadPoolExecutor(THREADS) as threads:
            return sum(threads.map(_dump_all, self._parts()))

    def pack(self) -> int:
        with _box() as box:
            pack = box.pack
            for record in self.dicts:
                pack(record)
        return _listed(box)

    def pack_alone(self) -> int:
        """Pack what never fills a shard: the cost of `pack` alone, as `dumps_and_append` has no compression."""
        box = S3Box(MemoryStore(new_token(12)), buffer_size=1 << 40)
        pack = box.pack
        for record in self.dicts:
            pack(record)
        return box.stats.records

    def pack_many_lines(self) -> int:
        with _box() as box:
            box.pack_many(self.lines)
        return _listed(box)

    def bare_loop(self) -> int:
        """Do by hand what `pack_many` does: parse, to know that it is an object, and compress a shard at a time."""
        objects: dict[str, bytes] = {}
        waiting: list[bytes] = []
        size = kept = 0

        def put() -> None:
            nonlocal kept
            kept += len(waiting)
            compressor = zlib_ng.compressobj(4, zlib_ng.DEFLATED, 31)
            body = compressor.compress(b"\n".join(waiting) + b"\n") + compressor.flush()
            objects[f"bare/{len(objects)}.json.gz"] = body

        for line in self.lines:
            if not isinstance(orjson.loads(line), dict):
                raise ValueError("not an object")
            if size + len(line) > SHARD_BYTES:
                put()
                waiting, size = [], 0
            waiting.append(line)
            size += len(line) + 1
        put()
        return kept

    def pack_by_threads(self) -> int:
        with _box() as box, ThreadPoolExecutor(THREADS) as threads:
            for done in [threads.submit(_pack_all, box, part) for part in self._parts()]:
                done.result()
        return _listed(box)

    def _parts(self) -> list[list[dict[str, Any]]]:
        # neighbours stay together: dicts that lie apart in memory would be slow to read, whoever reads them
        size = -(-len(self.dicts) // THREADS)
        return [self.dicts[start : start + size] for start in range(0, len(self.dicts), size)]

    def ratios(self) -> list[Ratio]:
        return [
            Ratio(
                "pack, one dict : orjson.dumps + append",
                self.pack_alone,
                self.dumps_and_append,
                3.0,
                time.thread_time,
            ),
            Ratio("pack, until all is uploaded : the same", self.pack, self.dumps_and_append, None),
            Ratio("pack_many, JSON lines : bare loop", self.pack_many_lines, self.bare_loop, 1.3),
            Ratio(f"pack, {THREADS} threads : one thread", self.pack_by_threads, self.pack, 1.0),
            Ratio(f"dumps + append, {THREADS} threads : one", self.dumps_by_threads, self.dumps_and_append, None),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs for each ratio")
    parser.add_argument("--rounds", type=int, default=3, help="how often the sample is repeated")
    arguments = parser.parse_args()
    cases = Cases(arguments.rounds)
    report("box", [compare(ratio, len(cases.lines), arguments.pairs) for ratio in cases.ratios()])


def compare(ratio: Ratio, records: int, pairs: int) -> Line:
    """Return the ratio of the seconds of both sides."""
    runs = [[_seconds(side, ratio.clock, records) for side in (ratio.ours, ratio.theirs)] for _ in range(pairs)]
    return Line(ratio.name, [ours / theirs for ours, theirs in runs], ratio.goal)


def _seconds(case: Callable[[], int], clock: Callable[[], float], records: int) -> float:
    gc.collect()
    begun = clock()
    kept = case()
    seconds = clock() - begun
    if kept != records:
        raise RuntimeError(f"{case.__name__} kept {kept} of {records} records")
    return seconds


def _box() -> S3Box:
    return S3Box(MemoryStore(new_token(12)), buffer_size=SHARD_BYTES)


def _pack_all(box: S3Box, records: list[dict[str, Any]]) -> None:
    for record in records:
        box.pack(record)


def _dump_all(records: list[dict[str, Any]]) -> int:
    lines: list[bytes] = []
    dropped = 0
    for record in records:
        lines.append(orjson.dumps(record))
        if len(lines) >= LINES_KEPT:
            dropped += len(lines)
            lines.clear()
    return dropped + len(lines)


def _listed(box: S3Box) -> int:
    return sum(shard.records for shard in box.shards)


if __name__ == "__main__":
    main()
