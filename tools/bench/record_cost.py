"""Print what the record of a run costs: `python -m tools.bench.record_cost`.

The same backfill into 5,000 streams runs with the lists of its shards and without, in turn, each in its own process;
what counts is processor time. The other line is the memory of a run that lists 100,000 shards in one manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, json_of, peak_bytes, use
from tools.seaweedfs import Server, seaweedfs

RECORDS = 336_000
STREAMS = 5_000
SHARDS = 100_000
PAIRS = 5
GOAL_PERCENT = 2.0
GOAL_MB = 500
GOAL_SECONDS = 10


def main() -> None:
    """Measure and print, or run one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=("with", "without", "shards"), help="run this alone, and print it as JSON")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("path", nargs="?")
    parser.add_argument("bucket", nargs="?")
    given = parser.parse_args()
    if given.case == "shards":
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(_list_shards(given.shards, folder)))
    elif given.case:
        print(json.dumps(_backfill(given.path, given.bucket, has_lists=given.case == "with")))
    else:
        CACHE.mkdir(parents=True, exist_ok=True)
        with seaweedfs("bench") as server:
            use(server)
            report("record_cost", _measure(server, given.pairs, given.shards))


def _measure(server: Server, pairs: int, shards: int) -> Iterator[Line]:
    path = make_lines(CACHE / f"streams-{STREAMS}.jsonl", RECORDS, STREAMS)
    runs = [(_run("with", path, server), _run("without", path, server)) for _ in range(pairs)]
    listings = [json_of([sys.executable, "-m", __spec__.name, "--case=shards", f"--shards={shards}"]) for _ in range(3)]
    # what the steps of the record took themselves: processor time of a whole run is no better than some percent
    own = [100 * ours["own"] / ours["seconds"] for ours, _ in runs]
    ratios = [ours["seconds"] / theirs["seconds"] for ours, theirs in runs]
    yield Line(f"record of a run of {STREAMS:,} streams, its own steps, % of processor time", own, GOAL_PERCENT)
    yield Line("runs with it : runs without it, processor time", ratios)
    yield Line("the same, bytes a shard in the store", [runs[0][0]["lists_bytes"] / STREAMS])
    name = f"{shards:,} shards in one manifest of the run"
    yield Line(f"{name}, seconds", [one["seconds"] for one in listings], GOAL_SECONDS)
    yield Line(f"{name}, peak MB", [one["peak_bytes"] / 1e6 for one in listings], GOAL_MB)


def _run(case: str, path: pathlib.Path, server: Server) -> dict[str, Any]:
    return json_of([sys.executable, "-m", __spec__.name, f"--case={case}", str(path), server.bucket])


def _backfill(path: str, bucket: str, *, has_lists: bool) -> dict[str, Any]:
    """Backfill the file; return processor seconds, and those of the steps that make the lists and totals."""
    import os

    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_s3box import S3Settings, WriteToS3Box
    from beam_s3box.engine.shard_rows import ShardListWriter
    from beam_s3box.jobs.read.files import ReadRecords
    from beam_s3box.stores import open_store
    from beam_s3box.transforms import manifests

    own = _Timer()
    manifests.rows_of = own.of_iterator(manifests.rows_of) if has_lists else lambda *_: iter(())  # type: ignore[attr-defined]
    ShardListWriter.add = own.of(ShardListWriter.add)  # type: ignore[method-assign]
    ShardListWriter.finish = own.of(ShardListWriter.finish)  # type: ignore[method-assign]
    prefix = f"s3://{bucket}/record/{uuid.uuid4().hex}"
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    options = PipelineOptions(["--runner=FnApiRunner", f"--s3_endpoint_url={endpoint}", "--s3_region_name=us-east-1"])
    began = time.process_time()
    with beam.Pipeline(options=options) as pipeline:
        write = WriteToS3Box(prefix, domain_field="carrier", namespace_field="origin")
        pipeline | "Read" >> ReadRecords([path]) | "Write" >> write
    seconds = time.process_time() - began
    store = open_store(prefix, S3Settings(endpoint_url=endpoint, region="us-east-1"))
    lists = sum(info.size for info in store.list("runs/") if "/shards-" in info.key)
    return {"seconds": seconds, "own": own.seconds, "lists_bytes": lists}


class _Timer:
    """Adds up the processor time of this thread within functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, function: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.thread_time() - began

        return timed

    def of_iterator(self, function: Any) -> Any:
        return lambda *arguments: iter(self.of(lambda: list(function(*arguments)))())


def _list_shards(shards: int, folder: str) -> dict[str, Any]:
    """List so many shards in one manifest of a run, as if they were in the store already."""
    import apache_beam as beam

    from beam_s3box.engine.manifests import Manifests
    from beam_s3box.engine.plan import WriteSpec
    from beam_s3box.formats import JSON_LINES
    from beam_s3box.records.selector import StreamSelector
    from beam_s3box.shards.model import ShardFile
    from beam_s3box.stores import LocalStore
    from beam_s3box.transforms.finish import Drop
    from beam_s3box.transforms.manifests import WriteManifests
    from beam_s3box.transforms.plan import WritePlan
    from beam_s3box.transforms.windows import Windows

    store = LocalStore(folder)
    spec = WriteSpec(selector=StreamSelector("d", "n"), format=JSON_LINES, manifests=Manifests("run"))
    windows = Windows(beam.transforms.window.GlobalWindows())
    plan = WritePlan(**vars(spec.plan(store)), windows=windows)

    class Make(beam.DoFn):
        def process(self, number: int) -> Any:
            for one in range(number, number + 1_000):
                digest = hashlib.sha256(str(one).encode()).hexdigest()
                name = f"s{one % STREAMS:05d}"
                key = plan.layout.shard(_stream("d", name), "", digest[:12], one, digest, ".json.gz")
                url = f"s3://some-bucket/some/prefix/{key}"
                yield ShardFile("d", name, "", url, key, 1_000, 300_000, 60_000 + one, digest, "bundle_end", 0.0, 1.6e9)

    began = time.perf_counter()
    with beam.Pipeline() as pipeline:
        files = (
            pipeline | beam.Create(range(0, shards, 1_000)) | "Make" >> beam.ParDo(Make()).with_output_types(ShardFile)
        )
        totals = pipeline | "Totals" >> beam.Create([("", None)]).with_output_types(tuple[str, Any])
        no_totals = totals | "None" >> beam.ParDo(Drop()).with_output_types(tuple[str, Any])
        (files, no_totals) | WriteManifests(plan, Manifests("run"))
    return {"seconds": time.perf_counter() - began, "peak_bytes": peak_bytes()}


def _stream(domain: str, namespace: str) -> Any:
    from beam_s3box.records.streams import Stream

    return Stream(domain, namespace)


if __name__ == "__main__":
    main()
