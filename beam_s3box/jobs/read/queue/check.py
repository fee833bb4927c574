"""What is checked of a queue before anything is read."""

from __future__ import annotations

import logging
from typing import Any, Final

import orjson

from beam_s3box.errors import ConfigurationError, SourceError
from beam_s3box.jobs.read.queue.messages import Queue

_LOGGER = logging.getLogger(__name__)

_SHORTEST: Final = 30
_LONGEST: Final = 1_800
"""Seconds: a message that comes back later may tell of an event that is forgotten."""

_LOOKS: Final = 3
"""So many looks there must be while a message is hidden, or it comes back between two of them."""

_FEWEST_RECEIVES: Final = 3
_NAMES: Final = ("VisibilityTimeout", "RedrivePolicy", "ApproximateNumberOfMessages")


def checked(queue: Queue, poll_interval: float) -> Queue:
    """Return the queue as its settings say, and say how many messages it has.

    Args:
      queue: as its URL says.
      poll_interval: seconds between two looks.

    Raises:
      ConfigurationError: it can't be reached, or a setting would let messages come back while they are read.
    """
    try:
        found = queue.send("get_queue_attributes", AttributeNames=list(_NAMES)).get("Attributes", {})
    except SourceError as exc:
        raise ConfigurationError(f"--sqs_queue can't be read: {exc}") from exc
    visibility = int(found.get("VisibilityTimeout", 0))
    least = max(_SHORTEST, round(_LOOKS * poll_interval))
    if not least <= visibility <= _LONGEST:
        raise ConfigurationError(
            f"--sqs_queue: messages of {queue.url} are hidden for {visibility} s when they are received, which must be "
            f"{least} to {_LONGEST} s with --poll_interval={poll_interval:g}: aws sqs set-queue-attributes --queue-url "
            f"{queue.url} --attributes VisibilityTimeout={max(300, least)}"
        )
    _check_redrive(queue, found.get("RedrivePolicy"))
    _LOGGER.info("messages in --sqs_queue now: %s", f"{int(found.get('ApproximateNumberOfMessages', 0)):,}")
    return queue._replace(visibility=visibility)


def _check_redrive(queue: Queue, policy: Any) -> None:
    most = int(orjson.loads(policy).get("maxReceiveCount", _FEWEST_RECEIVES)) if policy else _FEWEST_RECEIVES
    if most < _FEWEST_RECEIVES:
        raise ConfigurationError(
            f"--sqs_queue: {queue.url} gives a message away when it was received {most} times, also one that a worker "
            f"received which died: let its redrive policy have maxReceiveCount of {_FEWEST_RECEIVES} or more"
        )
