"""Lanes: the records of one stream are spread over several keys, so that several workers pack it in parallel."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from beam_s3box.checks import check_whole

MAX_LANES: Final = 1_000
"""Every lane has its own shards: more lanes only make smaller shards."""


def check_lanes(lanes: int) -> int:
    """Return the number of lanes.

    Raises:
      ConfigurationError: it is not a whole number from 1 to `MAX_LANES`.
    """
    return check_whole("lanes", lanes, 1, MAX_LANES, ": the number of workers that pack one stream")


def lane_of(line: bytes, lanes: int) -> int:
    """Return the lane of a record. It depends on the content only, so that a retry finds the same one."""
    return zlib.crc32(line) % lanes if lanes > 1 else 0


def by_lane(lines: Sequence[bytes], lanes: int) -> Iterable[tuple[int, Sequence[bytes]]]:
    """Return the lines of each lane, in order, without empty lanes."""
    if lanes == 1:
        return ((0, lines),)
    spread: dict[int, list[bytes]] = {}
    for line in lines:
        spread.setdefault(lane_of(line, lanes), []).append(line)
    return spread.items()
