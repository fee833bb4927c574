"""Seals streams and waits for their uploads: the common part of `flush`, `close` and `shut_down`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beam_s3box.errors import StoreError, StreamerError
from beam_s3box.records.streams import Stream
from beam_s3box.streamer.events import PendingFile
from beam_s3box.streamer.in_flight import InFlightUploads
from beam_s3box.streamer.remaining import Remaining
from beam_s3box.streamer.stream import OpenStream
from beam_s3box.system.outside import steady_seconds


def seal_all(streams: Sequence[OpenStream], seal: Callable[[OpenStream], None]) -> tuple[PendingFile, ...]:
    """Seal each stream, and return what could not be sealed."""
    failed = []
    for stream in streams:
        try:
            seal(stream)
        except (StreamerError, StoreError, OSError) as exc:
            failed.append(stream.unsealed(f"{type(exc).__name__}: {exc}"))
    return tuple(filter(None, failed))


def flush_streams(
    uploads: InFlightUploads,
    streams: Sequence[OpenStream],
    seal: Callable[[OpenStream], None],
    only: Stream | None,
    timeout: float | None,
) -> Remaining:
    """Seal and upload; repeat as long as uploads free room for records that a full disk did not take."""
    uploads.refuse_own_threads()
    end = None if timeout is None else steady_seconds() + timeout
    uploaded = -1
    while True:
        begun = uploads.begun
        unsealed = seal_all(streams, seal)
        pending = uploads.drain(only, None if end is None else max(0.0, end - steady_seconds()), begun)
        left = Remaining(unsealed, tuple(pending))
        before, uploaded = uploaded, uploads.counts.files
        if not left.in_memory or uploaded == before or (end is not None and steady_seconds() >= end):
            return left
