"""Parts of the pipelines that read a topic: a module of its own, so that workers in the process share its counts."""

from __future__ import annotations

import time
from typing import NamedTuple

import apache_beam as beam

from beam_s3box.records.batches import LineBatch
from beam_s3box.sources.kafka.reader import KafkaReader
from beam_s3box.sources.kafka.source import KafkaSource
from beam_s3box.sources.source import Fetched, Positions
from beam_s3box.sources.times import ArrivalTimes, Placed
from tools.bench_stream.tally import TALLY


class Fetching:
    """How many records the reader of this process has fetched, and its thread's processor time for that."""

    records = 0
    source_cpu = 0.0


class TimedSource(KafkaSource):
    """Notes the processor time of the thread that fetches."""

    def open(self, positions: Positions) -> KafkaReader:
        return _TimedReader(self.settings, positions)


class _TimedReader(KafkaReader):
    def poll(self, seconds: float) -> list[Fetched]:
        begun = time.thread_time()
        fetched = super().poll(seconds)
        Fetching.source_cpu += time.thread_time() - begun
        return fetched


class NotedTimes(NamedTuple):
    """ArrivalTimes that note the begin, and how much was fetched."""

    times: ArrivalTimes

    def place(self, fetched: Fetched, watermark: int | None, now: int) -> Placed:
        TALLY.begin()
        Fetching.records += len(fetched.values)
        begun = time.thread_time()
        placed = self.times.place(fetched, watermark, now)
        Fetching.source_cpu += time.thread_time() - begun
        return placed


class StopAfter(NamedTuple):
    """Asks to stop when that many records are fetched."""

    records: int

    def is_stop_asked(self) -> bool:
        return Fetching.records >= self.records


class CountBatch(beam.DoFn):
    def process(self, batch: LineBatch) -> list[int]:
        return [len(batch.lines)]
