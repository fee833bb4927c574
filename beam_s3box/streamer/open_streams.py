"""The streams that take records, and how many records closed ones took."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from beam_s3box.errors import ConfigurationError, StreamNotOpenError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.stream import OpenStream


class _State(NamedTuple):
    """The open streams, and how many records closed ones took; removing streams replaces both in one step."""

    streams: dict[tuple[str, str], OpenStream]
    closed_records: int


class OpenStreams:
    """The open streams of one streamer, by name. Safe from many threads.

    Args:
      new: returns a new stream with these limits.
      check: raises if the streamer takes no streams.
    """

    def __init__(self, new: Callable[[Stream, StreamLimits], OpenStream], check: Callable[[], None]) -> None:
        self._new = new
        self._check = check
        self._guard = threading.Lock()
        self._state = _State({}, 0)

    def get(self, domain: str, namespace: str) -> OpenStream | None:
        """Return a stream, or None if it is not open."""
        return self._state.streams.get((domain, namespace))

    def find(self, domain: str, namespace: str) -> OpenStream:
        """Return a stream.

        Raises:
          StreamNotOpenError: it is not open.
        """
        self._check()
        stream = self.get(domain, namespace)
        if stream is None:
            raise StreamNotOpenError(
                f"the stream {Stream(domain, namespace)} is not open: call open({domain!r}, {namespace!r}) first"
            )
        return stream

    def all(self) -> list[OpenStream]:
        """Return all open streams."""
        return list(self._state.streams.values())

    def with_records(self) -> tuple[list[OpenStream], int]:
        """Return all open streams, and how many records they and closed ones took."""
        streams, closed_records = self._state
        open_streams = list(streams.values())
        return open_streams, closed_records + sum(stream.records for stream in open_streams)

    @synchronized
    def open(self, stream: Stream, limits: StreamLimits) -> None:
        """Open a stream with these limits; it may be open with them already.

        Raises:
          ConfigurationError: it is open with other limits.
        """
        self._check()
        streams = self._state.streams
        if stream not in streams:
            streams[stream] = self._new(stream, limits)
        found = streams[stream].limits
        if found != limits:
            raise ConfigurationError(
                f"size_limit={limits.max_raw_bytes}, time_limit={limits.max_seconds}: the stream {stream} is open with "
                f"size_limit={found.max_raw_bytes}, time_limit={found.max_seconds}; close it first"
            )
        streams[stream].reopen()

    @synchronized
    def remove(self, streams: list[OpenStream]) -> None:
        """Remove those of the streams that are closed."""
        state = self._state
        gone = {stream.stream for stream in streams if stream.closed and state.streams.get(stream.stream) is stream}
        left = {name: stream for name, stream in state.streams.items() if name not in gone}
        records = sum(state.streams[name].records for name in gone)
        self._state = _State(left, state.closed_records + records)
