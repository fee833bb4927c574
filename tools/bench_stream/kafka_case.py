"""A topic's backlog through one pipeline on Prism, in a process of its own, which prints JSON.

`python -m tools.bench_stream.kafka_case ours|read BROKERS TOPIC RECORDS DESTINATION --fetch_bytes SIZE`
"""

from __future__ import annotations

import argparse
import gc
import json
import logging

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows

from beam_s3box import MiB, StreamLimits, WriteToS3Box
from beam_s3box.records.batches import LineBatch
from beam_s3box.sources.elements import Batches
from beam_s3box.sources.kafka.settings import KafkaSettings
from beam_s3box.sources.read import ReadSource
from beam_s3box.sources.times import ArrivalTimes
from beam_s3box.sources.watermark import MICROS, Pacing
from tools.bench_stream.cases import measured
from tools.bench_stream.engines import engine_options
from tools.bench_stream.kafka_steps import CountBatch, Fetching, NotedTimes, StopAfter, TimedSource
from tools.bench_stream.tally import Note
from tools.bench_stream.writers import _none_of, _records_of

WRITERS = ("ours", "read")
WINDOW_SECONDS = 600


def run(arguments: argparse.Namespace, options: list[str]) -> None:
    """Run the pipeline."""
    settings = KafkaSettings(brokers=arguments.brokers, topics=[arguments.topic], fetch_bytes=arguments.fetch_bytes)
    read = ReadSource(
        TimedSource(settings),
        NotedTimes(ArrivalTimes(WINDOW_SECONDS * MICROS)),
        Batches(),
        LineBatch,
        Pacing(),
        notices=StopAfter(arguments.records),
    )
    pipeline = beam.Pipeline(argv=options)
    records = (pipeline | "ReadKafka" >> read).records
    if arguments.writer == "read":
        counts = records | "Count" >> beam.ParDo(CountBatch()).with_output_types(int)
        counts | "Note" >> beam.ParDo(Note())
    else:
        write = WriteToS3Box(
            arguments.destination,
            domain_field="carrier",
            namespace_field="origin",
            windowing=FixedWindows(WINDOW_SECONDS),
            allowed_lateness=600,
            limits=StreamLimits(max_object_bytes=8 * MiB),
        )
        result = records | "Write" >> write
        shards = result.shards | "RecordsOfShards" >> beam.Map(_records_of).with_output_types(int)
        manifests = result.manifests | "NoNewRecords" >> beam.Map(_none_of).with_output_types(int)
        shards | "NoteShards" >> beam.ParDo(Note())
        manifests | "NoteManifests" >> beam.ParDo(Note())
    pipeline.run().wait_until_finish()


def main() -> None:
    """Run one pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("writer", choices=WRITERS)
    parser.add_argument("brokers")
    parser.add_argument("topic")
    parser.add_argument("records", type=int)
    parser.add_argument("destination")
    parser.add_argument("--fetch_bytes", default="32MiB")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    with engine_options("prism", None) as options:
        gc.collect()
        run(arguments, options)
    print(json.dumps({**measured(), "source_seconds": Fetching.source_cpu}))


if __name__ == "__main__":
    main()
