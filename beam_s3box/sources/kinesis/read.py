"""ReadKinesis: streams as batches of bytes, or as rows."""

from __future__ import annotations

from typing import Any

import apache_beam as beam

from beam_s3box.checks import check_bool, check_positive
from beam_s3box.records.batches import LineBatch
from beam_s3box.sources.aws import AwsSettings
from beam_s3box.sources.elements import Batches, Elements, Rows
from beam_s3box.sources.kafka.start import Start
from beam_s3box.sources.kinesis.source import KinesisRow, KinesisSource
from beam_s3box.sources.kinesis.stream import DEFAULT_FETCH_BYTES, StreamSettings
from beam_s3box.sources.read import ReadSource
from beam_s3box.sources.times import ArrivalTimes
from beam_s3box.sources.watermark import MICROS, Pacing


class ReadKinesis(beam.PTransform):
    """Reads a stream of Kinesis Data Streams for ever, through boto3.

    Yields LineBatch elements, whose `lines` are records as bytes, and which `WriteToS3Box` takes as they are: those of
    one shard and period that were fetched together. Or KinesisRow elements, one a record. Records that the producer
    library has packed into one are unpacked.

    *Guarantees*: each record is read once, from `start` on, with the positions that the runner keeps: no table of
    leases takes part. Shards that are split or merged are read to their ends, and then those that they became; shards
    of different readers don't wait for each other. Records that the stream removed before they were read fail the
    bundle.

    *Windows*: the global window. Elements are stamped with the time when their record arrived, batches with the begin
    of their period. The watermark is the least over all shards, less the delay; a shard without new records counts as
    having reached the present after `idle` seconds, but not while Kinesis does not answer.

    *Example*:

        pipeline | ReadKinesis("clicks") | WriteToS3Box(…, windowing=FixedWindows(60))

    Args:
      stream: its name or its ARN.
      region: of the stream; None for that of boto3, which finds the credentials, too.
      endpoint_url: of a server that is not AWS; None for AWS.
      start: `earliest`, `latest`, a time, or positions by shard; asked for when the pipeline runs. Shards without a
        position are read from their begin.
      readers: how many read at the same time, each some of the shards.
      as_rows: whether elements are rows.
      period: seconds; batches do not reach over its bounds.
      delay: seconds that the watermark stays behind the times of records.
      idle: seconds after which a shard at its end counts as having reached the present.
      stop_after: seconds to read; None for as long as the pipeline runs.
      fetch_bytes: after so many a reader hands on what it has fetched; one answer of Kinesis may have 10 MB more.

    Raises:
      ConfigurationError: an argument that can't work.
    """

    def __init__(
        self,
        stream: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        start: Start = "earliest",
        readers: int = 1,
        as_rows: bool = False,
        period: float = 1.0,
        delay: float = 2.0,
        idle: float = 10.0,
        stop_after: float | None = None,
        fetch_bytes: int | str = DEFAULT_FETCH_BYTES,
    ) -> None:
        super().__init__()
        settings = StreamSettings(stream=stream, aws=AwsSettings(region, endpoint_url), fetch_bytes=fetch_bytes)
        check_bool("as_rows", as_rows)
        times = ArrivalTimes(max(1, int(check_positive("period", period) * MICROS)))
        elements: Elements = Rows() if as_rows else Batches()
        source = KinesisSource(settings, start, has_rows=as_rows)
        element_type: Any = KinesisRow if as_rows else LineBatch
        if stop_after is not None:
            check_positive("stop_after", stop_after)
        pacing = Pacing(delay=delay, idle=idle, stop_after=stop_after)
        self._read = ReadSource(source, times, elements, element_type, pacing, readers)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Return the records."""
        return (begin | "ReadSource" >> self._read).records
