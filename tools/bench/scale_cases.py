"""What `tools.bench.scale` measures, each case in a process of its own: prints one JSON object.

`python -m tools.bench.scale_cases shards 100000 run` and so on. Nothing is sent anywhere: objects go to memory and are
dropped, or to a folder that is removed.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, peak_bytes

RECORDS: Final = 336_000
BATCH: Final = 1_000


def data(times: int) -> int:
    """Backfill that many times 101 MB from one file into a folder; returns the records."""
    return _backfill(times * RECORDS, None)


def streams(number: int) -> int:
    """Backfill 101 MB of that many streams into a folder; returns the records."""
    return _backfill(RECORDS, number)


def shards(number: int, per: str = "run") -> int:
    """List that many shards in manifests and finish the run, in a pipeline; returns the shards."""
    import apache_beam as beam
    from apache_beam.transforms.window import GlobalWindows

    from beam_s3box.engine.input_totals import InputTotals
    from beam_s3box.engine.manifests import Manifests
    from beam_s3box.shards.model import ShardFile
    from beam_s3box.transforms.input_totals import BY_FILE
    from beam_s3box.transforms.manifests import WriteManifests
    from beam_s3box.transforms.plan import WritePlan
    from beam_s3box.transforms.windows import Windows

    plan = WritePlan(**vars(_run_plan(Manifests(per=per))), windows=Windows(GlobalWindows()))  # type: ignore[arg-type]
    ranges = [(begin, min(begin + BATCH, number)) for begin in range(0, number, BATCH)]
    _begin()
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        files = (
            pipeline
            | "Ranges" >> beam.Create(ranges)
            | "Files" >> beam.FlatMap(_files, root=plan.store.root).with_output_types(ShardFile)
        )
        totals = pipeline | "Totals" >> beam.Create([("", InputTotals())]).with_output_types(BY_FILE)
        _ = (files, totals) | WriteManifests(plan, Manifests(per=per))  # type: ignore[arg-type]
    return number


def workers(number: int) -> int:
    """Pack 101 MB that come in that many bundles of separate workers, and their remainders; returns the records."""
    from apache_beam.transforms.window import GlobalWindow, GlobalWindows

    from beam_s3box.engine.manifests import Manifests
    from beam_s3box.transforms.encode import EncodeSegments
    from beam_s3box.transforms.pack import CutShards
    from beam_s3box.transforms.plan import WritePlan
    from beam_s3box.transforms.windows import Windows

    plan = WritePlan(**vars(_run_plan(Manifests())), windows=Windows(GlobalWindows()))
    with make_lines(CACHE / f"flights-{RECORDS}.jsonl", RECORDS).open("rb") as file:
        lines = file.read().splitlines()
    _begin()
    remainders: dict[Any, list[Any]] = {}
    encode, records = EncodeSegments(plan), 0
    encode.setup()
    for worker in range(number):
        encode.start_bundle()
        mine = lines[len(lines) * worker // number : len(lines) * (worker + 1) // number]
        for begin in range(0, len(mine), BATCH):
            records += _sealed(encode.process_batch(mine[begin : begin + BATCH]) or (), remainders)
        records += _sealed(encode.finish_bundle(), remainders)
    cut = CutShards(plan)
    for group in remainders.items():
        records += sum(_records_of(shard) for shard in cut.process(group, GlobalWindow()))
    return records


def _sealed(outputs: Any, remainders: dict[Any, list[Any]]) -> int:
    """Keep the remainders; return the records in sealed shards."""
    records = 0
    for output in outputs:
        if getattr(output, "tag", None) == "shards":
            records += _records_of(output.value.value)
        elif not hasattr(output, "tag"):
            key, segment = output.value
            remainders.setdefault(key, []).append(segment)
    return records


def _records_of(shard: Any) -> int:
    return sum(segment.records for segment in shard.segments)


def _backfill(records: int, streams: int | None) -> int:
    from beam_s3box.cli.main import main

    path = make_lines(CACHE / f"{f'streams-{streams}' if streams else 'flights'}-{records}.jsonl", records, streams)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        _begin()
        options = ["--domain_field=carrier", "--namespace_field=origin", "--quiet"]
        if main(["backfill", f"--input={path}", f"--destination={folder}", "--workers=1", *options]):
            raise SystemExit(1)
    return records


def _run_plan(manifests: Any) -> Any:
    from beam_s3box.engine.plan import WriteSpec
    from beam_s3box.formats import JSON_LINES
    from beam_s3box.records.selector import StreamSelector
    from beam_s3box.stores import MemoryStore

    selector = StreamSelector(None, None, "carrier", "origin", None)
    return WriteSpec(selector=selector, format=JSON_LINES, manifests=manifests).plan(MemoryStore("scale"))


def _files(part: tuple[int, int], root: str) -> Iterator[Any]:
    """Yield shards of 35 streams as a backfill describes them."""
    from beam_s3box.shards.model import ShardFile

    for number in range(*part):
        stream, origin = f"carrier/origin-{number % 35:02d}", f"{number:016x}"
        key = f"data/{stream}/20261122T101500-0123456789ab/{origin}-{number:05d}-abcdef012345.json.gz"
        yield ShardFile(
            "carrier", f"origin-{number % 35:02d}", "", f"{root}/{key}", key, 3_300, 1_000_000, 150_000 + number % 999,
            hashlib.sha256(key.encode()).hexdigest(), "object-bytes", 0.0, 1790000000.123,
        )  # fmt: skip


CASES: Final[dict[str, Callable[..., int]]] = {case.__name__: case for case in (data, streams, shards, workers)}
_begun = (0.0, 0.0)


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _begin() -> None:
    """Begin to measure: what is needed is imported, and the input is there."""
    global _begun
    _begun = (time.perf_counter(), _cpu())


def main() -> None:
    """Run one case."""
    name, number, *more = sys.argv[1:]
    import beam_s3box.jobs.backfill  # noqa: F401

    count = CASES[name](int(number), *more)
    seconds, cpu = time.perf_counter() - _begun[0], _cpu() - _begun[1]
    print(json.dumps({"count": count, "seconds": seconds, "cpu": cpu, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
