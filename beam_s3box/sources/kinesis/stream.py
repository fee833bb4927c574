"""A stream of Kinesis Data Streams: how it is reached, and the requests that read it."""

from __future__ import annotations

import dataclasses
import email.utils
import functools
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from beam_s3box.checks import check_whole
from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import MiB, parse_size
from beam_s3box.sources.aws import AwsSettings, called, client_of

DEFAULT_FETCH_BYTES: Final = 32 * MiB
_LEAST_FETCH_BYTES: Final = MiB
_MOST_FETCH_BYTES: Final = 1_024 * MiB
_MOST_RECORDS: Final = 10_000
"""Of one answer, which has 10 MB at most. Source: `GetRecords`."""

_AS_BOTO3: Final = AwsSettings()
_NO_STREAM: Final = "create the stream, or correct its name, region or endpoint"
_ADVICE: Final = {"ResourceNotFoundException": _NO_STREAM}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How a stream is reached and read.

    Attributes:
      stream: its name or its ARN.
      aws: region and endpoint.
      fetch_bytes: after so many a reader hands on what it has fetched, before it fetches more.

    Raises:
      ConfigurationError: a value that can't work.
    """

    stream: str
    aws: AwsSettings = _AS_BOTO3
    fetch_bytes: int | str = DEFAULT_FETCH_BYTES

    def __post_init__(self) -> None:
        if not isinstance(self.stream, str) or not self.stream or self.stream != self.stream.strip():
            raise ConfigurationError(f"stream={self.stream!r} must be the name or the ARN of a stream, as 'clicks'")
        size = parse_size(self.fetch_bytes, "fetch_bytes") if isinstance(self.fetch_bytes, str) else self.fetch_bytes
        object.__setattr__(self, "fetch_bytes", check_whole("fetch_bytes", size, _LEAST_FETCH_BYTES, _MOST_FETCH_BYTES))

    @property
    def name(self) -> str:
        """The name of the stream."""
        return self.stream.rpartition("/")[2]


class Shard(NamedTuple):
    """A shard.

    Attributes:
      id: its name.
      parents: of what it was made by a split or a merge; some may be gone.
    """

    id: str
    parents: tuple[str, ...]


class Stream:
    """Makes requests, each once: a reader asks again when it is time to.

    Args:
      settings: how the stream is reached.
    """

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        is_arn = settings.stream.startswith("arn:")
        self._named = {"StreamARN" if is_arn else "StreamName": settings.stream}

    def shards(self) -> tuple[list[Shard], int]:
        """Return all shards that hold records, and the time by the clock of Kinesis, in milliseconds since 1970.

        Raises:
          SourceError: the stream can't be read.
        """
        found: list[Shard] = []
        more: Mapping[str, Any] = self._named
        while True:
            answer = self._send("list_shards", more)
            for one in answer["Shards"]:
                parents = (one.get("ParentShardId"), one.get("AdjacentParentShardId"))
                found.append(Shard(one["ShardId"], tuple(parent for parent in parents if parent)))
            if not answer.get("NextToken"):
                return found, _millis_of(answer)
            more = {"NextToken": answer["NextToken"]}

    def retention_millis(self) -> int:
        """Return for how long the stream keeps records.

        Raises:
          SourceError: the stream can't be read.
        """
        answer = self._send("describe_stream_summary", self._named)
        return int(answer["StreamDescriptionSummary"]["RetentionPeriodHours"]) * 3_600_000

    def iterator(self, shard: str, where: Mapping[str, Any]) -> str:
        """Return what the next records of a shard are asked for with; it is good for five minutes.

        Raises:
          SourceError: there is no such place in the shard.
        """
        return str(self._send("get_shard_iterator", {**self._named, "ShardId": shard, **where})["ShardIterator"])

    def records(self, iterator: str) -> dict[str, Any]:
        """Return records.

        Raises:
          SourceError: the iterator is no longer good, or the stream can't be read.
        """
        arn = {name: value for name, value in self._named.items() if name == "StreamARN"}
        return self._send("get_records", {"ShardIterator": iterator, "Limit": _MOST_RECORDS, **arn})

    def _send(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        client = client_of("kinesis", self._settings.aws)
        call = functools.partial(getattr(client, operation), **parameters)
        return called(call, f"{operation} of stream {self._settings.stream}", _ADVICE)


def _millis_of(answer: Mapping[str, Any]) -> int:
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp() * 1_000)
    except (TypeError, ValueError):
        # a server that is not AWS
        return int(time.time() * 1_000)
