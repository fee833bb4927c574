"""What a streaming job reads: files that appear, or a source of records; each checks itself and adds its steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.jobs.options.csv import csv_dialect_of
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.queue import queue_of, receiving_of
from beam_s3box.jobs.options.sources import FILES, KAFKA, KINESIS, QUEUE, Kind, kind_of, pacing_of, source_timing_of
from beam_s3box.jobs.options.stream import watching_of
from beam_s3box.jobs.options.windows import Timing, timing_of
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.read import kafka, kinesis
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.input_files import s3_access_of
from beam_s3box.jobs.read.kafka import check_kafka, kafka_of
from beam_s3box.jobs.read.kinesis import kinesis_of
from beam_s3box.jobs.read.queue.check import checked
from beam_s3box.jobs.read.queue.receive import ReceiveObjects
from beam_s3box.jobs.read.records import ReadRecordSource
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.jobs.read.stream import ReadStream, StreamInput
from beam_s3box.jobs.read.watch import WatchFiles
from beam_s3box.jobs.run.preflight import check_given, check_watched, tell_matches
from beam_s3box.sources.source import Positions, Source
from beam_s3box.sources.stop import Notices


class JobInput(Protocol):
    """The input of a streaming job.

    Attributes:
      name: of the source in the run's record; empty for files.
    """

    name: str

    def check(self) -> None:
        """Raise the error that reading would meet: S3BoxError."""
        ...

    def read(self, pipeline: beam.Pipeline, notices: Notices) -> StreamInput:
        """Add the steps that read, until the notices say to stop."""
        ...

    def tell(self) -> None:
        """Say what is there now."""
        ...


def input_of(options: PipelineOptions, write: Write) -> JobInput:
    """Return the input that the options name.

    Raises:
      S3BoxError: they name none, several, or one that can't be.
    """
    inputs: dict[Kind, Callable[[PipelineOptions, Write], JobInput]] = {
        FILES: FileInput,
        QUEUE: QueueInput,
        KAFKA: _kafka_input,
        KINESIS: _kinesis_input,
    }
    return inputs[kind_of(given_of(options))](options, write)


class FileInput:
    """Files that appear.

    Args:
      options: of the job.
      write: what is written.
    """

    name = ""

    def __init__(self, options: PipelineOptions, write: Write) -> None:
        given = given_of(options)
        self._options = options
        self._write = write
        self._patterns = given.input
        self._watching, self._timing = watching_of(options), timing_of(options)
        self._read = _read_stream(options, write, self._timing)
        check_given(self._patterns)

    def check(self) -> None:
        """Raise the error that watching would meet."""
        check_watched(self._patterns, self._options)

    def read(self, pipeline: beam.Pipeline, notices: Notices) -> StreamInput:
        """Add the steps that watch and read."""
        found, access = FoundNotes(self._write.store, self._write.run_id), s3_access_of(self._options)
        delay = self._timing.delay
        watch = WatchFiles(self._patterns, self._watching, delay, found, access=access, notices=notices)
        lines: StreamInput = pipeline | "WatchFiles" >> watch | "ReadStream" >> self._read
        return lines

    def tell(self) -> None:
        """Say how many files match now."""
        tell_matches(self._patterns, s3_access_of(self._options))


class QueueInput:
    """Objects that a queue of S3's events names.

    Args:
      options: of the job.
      write: what is written.
    """

    name = ""

    def __init__(self, options: PipelineOptions, write: Write) -> None:
        self._write = write
        self._timing, self._receiving = timing_of(options), receiving_of(options)
        self._queue = queue_of(options)
        self._read = _read_stream(options, write, self._timing, keeps_unreadable=True)

    def check(self) -> None:
        """Take the settings of the queue, and raise the error that it would meet."""
        self._queue = checked(self._queue, self._receiving.poll_interval)

    def read(self, pipeline: beam.Pipeline, notices: Notices) -> StreamInput:
        """Add the steps that receive and read."""
        store = self._write.store
        found = FoundNotes(store, self._write.run_id)
        receive = ReceiveObjects(self._queue, self._receiving, self._timing.delay, found, store.root, notices)
        lines: StreamInput = pipeline | "ReceiveObjects" >> receive | "ReadStream" >> self._read
        return lines

    def tell(self) -> None:
        """Say nothing: the check has said how many messages there are."""


class SourceInput:
    """Records of a source.

    Args:
      options: of the job.
      name: of the source, in the record of the run.
      step: that reads it.
      source: what is read.
      first: says where to begin.
    """

    def __init__(
        self, options: PipelineOptions, name: str, step: str, source: Source, first: Callable[[], Positions]
    ) -> None:
        self.name = name
        self._step = step
        self._timing = source_timing_of(options)
        self._pacing = pacing_of(options, self._timing)
        self._readers = given_of(options).readers
        self._source = source
        self._first = first
        self._start: Positions | None = None

    def check(self) -> None:
        """Find out where to begin, now: later, `latest` would be another place."""
        self._start = self._first()

    def read(self, pipeline: beam.Pipeline, notices: Notices) -> StreamInput:
        """Add the steps that read the source."""
        read = ReadRecordSource(self._source, self._timing, self._pacing, self._readers, self._start, notices)
        records: StreamInput = pipeline | self._step >> read
        return records

    def tell(self) -> None:
        """Say nothing."""


def _kafka_input(options: PipelineOptions, write: Write) -> SourceInput:
    source = kafka_of(given_of(options), write.store)
    return SourceInput(options, kafka.NAME, "ReadKafka", source, functools.partial(check_kafka, source))


def _kinesis_input(options: PipelineOptions, write: Write) -> SourceInput:
    source = kinesis_of(given_of(options), write.store)
    return SourceInput(options, kinesis.NAME, "ReadKinesis", source, source.first)


def _read_stream(
    options: PipelineOptions, write: Write, timing: Timing, *, keeps_unreadable: bool = False
) -> ReadStream:
    given = given_of(options)
    rows = RowOptions(csv_dialect_of(given), write.max_line_bytes)
    return ReadStream(
        timing,
        write.max_line_bytes,
        given.path_columns,
        input_format=given.input_format,
        rows=rows,
        keeps_unreadable=keeps_unreadable,
    )
