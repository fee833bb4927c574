"""What is measured, each case in a process of its own: `python -m tools.bench.cases NAME ...` prints one JSON object.

Seconds are taken inside the process, after the imports; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import collections
import gc
import gzip
import json
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

from tools.bench.measure import peak_bytes

SHARD_BYTES = 1_000_000
"""Raw bytes of a shard, the same for all cases."""


def bare_loop(path: str, bucket: str) -> None:
    """Do by hand, in one loop, what a backfill does: parse, group, compress with the same codec, put at 1 MB."""
    import boto3
    import orjson
    from botocore.config import Config
    from zlib_ng import zlib_ng

    boto3.client("s3")
    yield_start()
    client = boto3.Session().client("s3", config=Config(request_checksum_calculation="when_required"))
    waiting: dict[tuple[str, str], list[bytes]] = {}
    sizes: collections.Counter[tuple[str, str]] = collections.Counter()

    def put(stream: tuple[str, str]) -> None:
        lines = waiting.pop(stream)
        del sizes[stream]
        compressor = zlib_ng.compressobj(4, zlib_ng.DEFLATED, 31)
        body = compressor.compress(b"".join(lines)) + compressor.flush()
        client.put_object(Bucket=bucket, Key=f"bare/{stream[0]}/{stream[1]}/{uuid.uuid4().hex}.json.gz", Body=body)

    with open(path, "rb") as file:
        for line in file:
            record = orjson.loads(line)
            stream = record["carrier"], record["origin"]
            if sizes[stream] + len(line) > SHARD_BYTES:
                put(stream)
            waiting.setdefault(stream, []).append(line)
            sizes[stream] += len(line)
    for stream in list(waiting):
        put(stream)


def backfill(path: str, bucket: str) -> None:
    """Backfill the file with the job's own reader and transform."""
    import apache_beam as beam

    from beam_s3box.jobs.read.files import ReadRecords

    _import_all()
    yield_start()
    with beam.Pipeline(options=_options()) as pipeline:
        (pipeline | "Read" >> ReadRecords([path]) | "Write" >> _write_ours(bucket))


def write_to_files(path: str, bucket: str, folder: str = "") -> None:
    """Write the same with Beam's own sink: dynamic destinations and a gzip sink."""
    import apache_beam as beam
    import orjson
    from apache_beam.io import fileio

    class GzipSink(fileio.FileSink):
        def open(self, file: Any) -> None:
            self._gzip = gzip.GzipFile(fileobj=file, mode="wb")

        def write(self, record: Any) -> None:
            self._gzip.write(orjson.dumps(record) + b"\n")

        def flush(self) -> None:
            self._gzip.close()

    _import_all()
    yield_start()
    with beam.Pipeline(options=_options()) as pipeline:
        (
            pipeline
            | "Read" >> beam.io.ReadFromText(path)
            | "Parse" >> beam.Map(orjson.loads)
            | "Write"
            >> fileio.WriteToFiles(
                path=f"s3://{bucket}/{folder or 'theirs/' + uuid.uuid4().hex}",
                destination=lambda record: f"{record['carrier']}-{record['origin']}",
                sink=lambda destination: GzipSink(),
                file_naming=fileio.destination_prefix_naming(suffix=".json.gz"),
            )
        )


def one_at_a_time(path: str, bucket: str) -> None:
    """Write dicts that come one by one."""
    import apache_beam as beam
    import orjson

    _import_all()
    yield_start()
    with beam.Pipeline(options=_options()) as pipeline:
        (
            pipeline
            | "Read" >> beam.io.ReadFromText(path)
            | "Parse" >> beam.Map(orjson.loads)
            | "Write" >> _write_ours(bucket)
        )


def group_by_key(path: str, bucket: str) -> None:
    """Group the same dicts by stream, and nothing else."""
    import apache_beam as beam
    import orjson

    yield_start()
    with beam.Pipeline(options=_options()) as pipeline:
        (
            pipeline
            | "Read" >> beam.io.ReadFromText(path)
            | "Parse" >> beam.Map(orjson.loads)
            | "Key" >> beam.Map(lambda record: ((record["carrier"], record["origin"]), record))
            | "Group" >> beam.GroupByKey()
            | "Count" >> beam.Map(lambda group: sum(1 for _ in group[1]))
        )


def codec_alone(path: str, bucket: str) -> None:
    """Compress the file in runs of 1 MB, on one core."""
    from beam_s3box.formats import deflate

    with open(path, "rb") as file:
        blocks = list(iter(lambda: file.read(SHARD_BYTES), b""))
    yield_start()
    for block in blocks:
        deflate.compress(block, 0)


def route_alone(path: str, bucket: str) -> None:
    """Find the stream of each line and check its syntax, on one core."""
    from beam_s3box.records.encoding import RecordRules
    from beam_s3box.records.lines import split_lines
    from beam_s3box.records.routing import Router
    from beam_s3box.records.selector import StreamSelector

    router = Router(StreamSelector(domain_field="carrier", namespace_field="origin"), RecordRules(4_000_000, True))
    with open(path, "rb") as file:
        batches = list(split_lines(iter(lambda: file.read(1 << 19), b"")))
    yield_start()
    for batch in batches:
        router.route_lines(batch.lines)


def parse_alone(path: str, bucket: str) -> None:
    """Parse each line with orjson, on one core."""
    import orjson

    with open(path, "rb") as file:
        lines = file.readlines()
    yield_start()
    for line in lines:
        orjson.loads(line)


def read_alone(path: str, bucket: str) -> None:
    """Read the lines through the job's own reader in Beam, and drop them."""
    import apache_beam as beam

    from beam_s3box.jobs.read.files import ReadRecords

    class Drop(beam.DoFn):
        def process(self, batch: Any) -> None:
            pass

    yield_start()
    with beam.Pipeline(options=_options()) as pipeline:
        pipeline | "Read" >> ReadRecords([path]) | "Drop" >> beam.ParDo(Drop()).with_output_types(bytes)


CASES: dict[str, Callable[[str, str], None]] = {
    case.__name__: case
    for case in (
        bare_loop,
        backfill,
        write_to_files,
        one_at_a_time,
        group_by_key,
        codec_alone,
        route_alone,
        parse_alone,
        read_alone,
    )
}

_start = 0.0


def yield_start() -> None:
    """Begin to measure: imports and clients are made."""
    global _start
    gc.collect()
    _start = time.perf_counter()


def _options() -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions(
        ["--runner=FnApiRunner", f"--s3_endpoint_url={os.environ['AWS_ENDPOINT_URL_S3']}", "--s3_region_name=us-east-1"]
    )


def _write_ours(bucket: str) -> Any:
    from beam_s3box import StreamLimits, WriteToS3Box

    limits = StreamLimits(max_raw_bytes=SHARD_BYTES)
    return WriteToS3Box(f"s3://{bucket}/ours", domain_field="carrier", namespace_field="origin", limits=limits)


def _import_all() -> None:
    """Import what a first client and a first pipeline would import; both make them when the clock runs."""
    import boto3
    from apache_beam.runners.portability import fn_api_runner

    import beam_s3box

    boto3.client("s3")
    _ = fn_api_runner, beam_s3box.WriteToS3Box


def main() -> None:
    """Run one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("path")
    parser.add_argument("bucket")
    arguments = parser.parse_args()
    CASES[arguments.case](arguments.path, arguments.bucket)
    seconds = time.perf_counter() - _start
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
