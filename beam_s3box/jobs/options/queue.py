"""The queue that a streaming job's options name."""

from __future__ import annotations

import re
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.runners import is_flink
from beam_s3box.jobs.read.queue.messages import Queue
from beam_s3box.jobs.read.queue.receive import Receiving
from beam_s3box.sources.aws import AwsSettings

_URL: Final = re.compile(r"https?://[^/@?#]+/\S+")
_REGION: Final = re.compile(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/")
_LONGEST_CHECKPOINTS: Final = 600_000
"""Milliseconds: a message stays hidden for longer."""


_LEAST_SETTLE: Final = 30.0
"""Seconds."""


def queue_of(options: PipelineOptions) -> Queue:
    """Return the queue that the options name; nothing is connected yet.

    Raises:
      ConfigurationError: the options can't work.
    """
    given = given_of(options)
    url = given.sqs_queue
    if not _URL.fullmatch(url):
        raise ConfigurationError(
            f"--sqs_queue={url!r} must be the URL of a queue, as https://sqs.eu-central-1.amazonaws.com/123456789012/name"
        )
    if url.endswith(".fifo"):
        raise ConfigurationError(
            f"--sqs_queue={url!r} is a FIFO queue, which holds messages back until earlier ones are deleted: let S3 "
            "send its events to a standard queue"
        )
    _check_checkpoints(options)
    region = _REGION.match(url)
    return Queue(url, AwsSettings(given.sqs_region or (region and region[1]), given.sqs_endpoint_url))


def receiving_of(options: PipelineOptions) -> Receiving:
    """Return how to receive."""
    given = given_of(options)
    # a checkpoint may have just begun, and one may fail
    settle = max(_LEAST_SETTLE, 3 * (given.checkpointing_interval or 0) / 1_000)
    return Receiving(given.poll_interval, given.stop_after, settle=settle)


def _check_checkpoints(options: PipelineOptions) -> None:
    """Raise ConfigurationError for Flink without checkpoints: no message would be deleted, ever."""
    interval = given_of(options).checkpointing_interval
    if not is_flink(options):
        return
    if not interval or interval < 0:
        raise ConfigurationError(
            "--sqs_queue needs checkpoints on Flink, which deletes messages when one is complete: give "
            "--checkpointing_interval=10000, in milliseconds, also where the cluster takes them without it"
        )
    if interval > _LONGEST_CHECKPOINTS:
        raise ConfigurationError(
            f"--checkpointing_interval={interval} is too long for --sqs_queue, whose messages stay hidden until a "
            f"checkpoint is complete: give at most {_LONGEST_CHECKPOINTS}"
        )
