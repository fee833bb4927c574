"""ReadKafka: topics as batches of bytes, or as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam

from beam_s3box.checks import check_bool, check_positive
from beam_s3box.records.batches import LineBatch
from beam_s3box.sources.elements import Batches, Elements, Rows
from beam_s3box.sources.kafka.settings import DEFAULT_FETCH_BYTES, KafkaSettings
from beam_s3box.sources.kafka.source import KafkaRow, KafkaSource
from beam_s3box.sources.kafka.start import Start
from beam_s3box.sources.read import ReadSource
from beam_s3box.sources.times import ArrivalTimes
from beam_s3box.sources.watermark import MICROS, Pacing


class ReadKafka(beam.PTransform):
    """Reads topics of Kafka or Amazon MSK for ever, through librdkafka and without Java.

    Yields LineBatch elements, whose `lines` are values as bytes, and which `WriteToS3Box` takes as they are: the
    records of one partition and period that were fetched together. Or KafkaRow elements, one a record. A record without
    a value, a tombstone, is in rows only.

    *Guarantees*: each record is read once, from `start` on, with the offsets that the runner keeps: no consumer group
    takes part. Records of aborted transactions are not read. Partitions that are added are found. An offset that the
    topic has no more fails the bundle.

    *Windows*: the global window. Elements are stamped with the time of their record, batches with the begin of their
    period. The watermark is the least over all partitions, less the delay; a partition without new records counts as
    having reached the present after `idle` seconds, but not while its broker does not answer.

    *Example*:

        pipeline | ReadKafka("kafka-1:9092", ["orders"]) | WriteToS3Box(…, windowing=FixedWindows(60))

    Args:
      brokers: `host:port` of some brokers, separated by commas.
      topics: one or more.
      config: further properties of librdkafka, as text; secrets as `${NAME}`, a variable of the environment where the
        readers run.
      auth: `msk-iam` logs in to Amazon MSK with the AWS identity of the readers.
      start: `earliest`, `latest`, a time, or offsets by partition, `{"orders:0": "17"}`; asked for when the pipeline
        runs. Partitions without an offset are read from their begin.
      readers: how many read at the same time, each some of the partitions.
      as_rows: whether elements are rows.
      period: seconds; batches do not reach over its bounds.
      delay: seconds that the watermark stays behind the times of records.
      idle: seconds after which a partition at its end counts as having reached the present.
      group: consumer group whose offsets are set to what was read, for monitors of lag.
      stop_after: seconds to read; None for as long as the pipeline runs.
      fetch_bytes: memory of what a reader has fetched and not yet handed on.

    Raises:
      ConfigurationError: an argument that can't work.
    """

    def __init__(
        self,
        brokers: str,
        topics: str | Sequence[str],
        *,
        config: Mapping[str, str] | None = None,
        auth: str | None = None,
        start: Start = "earliest",
        readers: int = 1,
        as_rows: bool = False,
        period: float = 1.0,
        delay: float = 2.0,
        idle: float = 10.0,
        group: str | None = None,
        stop_after: float | None = None,
        fetch_bytes: int | str = DEFAULT_FETCH_BYTES,
    ) -> None:
        super().__init__()
        settings = KafkaSettings(
            brokers=brokers, topics=topics, config=config or {}, auth=auth, group=group, fetch_bytes=fetch_bytes
        )
        check_bool("as_rows", as_rows)
        times = ArrivalTimes(max(1, int(check_positive("period", period) * MICROS)))
        elements: Elements = Rows() if as_rows else Batches()
        element_type: Any = KafkaRow if as_rows else LineBatch
        if stop_after is not None:
            check_positive("stop_after", stop_after)
        pacing = Pacing(delay=delay, idle=idle, stop_after=stop_after)
        source = KafkaSource(settings, start, has_rows=as_rows)
        self._read = ReadSource(source, times, elements, element_type, pacing, readers)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Return the records."""
        return (begin | "ReadSource" >> self._read).records
