"""Appends records with numbers to one stream."""

from __future__ import annotations

from beam_s3box.streamer import JsonBufferStreamer


def fill(streamer: JsonBufferStreamer, first: int, count: int = 1) -> None:
    streamer.open("web", "a", size_limit=10_000)
    for i in range(first, first + count):
        streamer.append("web", "a", {"i": i})
