"""A stream of Kinesis as the input of the streaming job."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.jobs.read.earlier_run import positions_of_run
from beam_s3box.sources.aws import AwsSettings
from beam_s3box.sources.kafka.start import Start
from beam_s3box.sources.kinesis.source import KinesisSource
from beam_s3box.sources.kinesis.stream import StreamSettings
from beam_s3box.stores import Store

NAME: Final = "kinesis"
"""Of the source, in the record of a run."""

_RUN: Final = "run:"


def kinesis_of(given: argparse.Namespace, store: Store) -> KinesisSource:
    """Return the stream that the options name; the record of an earlier run is read if it says where to begin.

    Raises:
      ConfigurationError: an option can't work, or the run did not end in order.
      StoreError: the record can't be read.
    """
    settings = StreamSettings(
        stream=given.kinesis_stream,
        aws=AwsSettings(given.kinesis_region, given.kinesis_endpoint_url),
        fetch_bytes=given.fetch_bytes,
    )
    start: Start = given.kinesis_start
    if isinstance(start, str) and start.startswith(_RUN):
        start = positions_of_run(store, start.removeprefix(_RUN), NAME, "--kinesis_start")
    return KinesisSource(settings, start)
