"""Where to begin to read a topic: `earliest`, `latest`, a time, or where an earlier run ended."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import TypeAlias

from beam_s3box.errors import ConfigurationError
from beam_s3box.sources.kafka.client import EARLIEST, LATEST

Start: TypeAlias = str | datetime.datetime | Mapping[str, str]
"""As `ReadKafka` takes it; a mapping is that of partitions, as `orders:0`, to offsets."""

_SECONDS = re.compile(r"\d{9,10}(\.\d{1,9})?", re.ASCII)
_NAMES = {"earliest": EARLIEST, "latest": LATEST}


def millis_of(start: str | datetime.datetime) -> int:
    """Return the time to begin with, in milliseconds since 1970, or EARLIEST or LATEST.

    Raises:
      ConfigurationError: it is no time.
    """
    if isinstance(start, str) and start in _NAMES:
        return _NAMES[start]
    try:
        moment = start if isinstance(start, datetime.datetime) else _moment_of(start)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"start={start!r} must be 'earliest', 'latest', or a time, as 2026-11-22T10:15:00Z or seconds since 1970"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp() * 1_000)


def _moment_of(text: str) -> datetime.datetime:
    if _SECONDS.fullmatch(text):
        return datetime.datetime.fromtimestamp(float(text), datetime.UTC)
    return datetime.datetime.fromisoformat(text)
