"""What a streaming run left: read back from the bucket alone, and when each manifest came."""

from __future__ import annotations

import collections
import datetime
import json
import pathlib
import re
from typing import Any, NamedTuple

from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.stores import Store
from tests.readback import ReadBack, read_back
from tests.runners.feed import Feed

_PLACE = re.compile(r"manifests/[^/]+/feed/(?P<stream>[^/]+)/([^/]+/|\d{8}-)\d{5}\.manifest")
"""Of bounded input with the folder of its window, of unbounded input with the number of the firing."""
_WINDOW = re.compile(r".*/data/feed/[^/]+/(?P<window>[^/]+)/[^/]+")


class Firing(NamedTuple):
    """One manifest.

    Attributes:
      stream, window, pane: what it is of; panes of a window are counted here, in the order of the stream's firings.
      lag: seconds from the end of the window until it was written; seconds are whole in S3.
      urls: what it lists.
    """

    stream: str
    window: str
    pane: int
    lag: float
    urls: list[str]

    @property
    def begin(self) -> float:
        return bounds_of(self.window)[0]


class Note(NamedTuple):
    """What the write said of a shard."""

    stream: str
    window: str
    key: str
    records: int
    sealed_by: str


class Streamed(NamedTuple):
    """A finished run.

    Attributes:
      feed: what was written.
      found: what lies in the bucket.
      firings: its manifests.
      notes: what the write said of its shards, once of each.
    """

    feed: Feed
    found: ReadBack
    firings: list[Firing]
    notes: frozenset[Note]

    def sealed_by(self, stream: str) -> collections.Counter[str]:
        """Count why shards of a stream were sealed."""
        return collections.Counter(note.sealed_by for note in self.notes if note.stream == stream)

    def shards_of(self, stream: str, begin: float) -> list[Note]:
        """Return what the write said of the shards of the window that begins then."""
        return [note for note in self.notes if note.stream == stream and bounds_of(note.window)[0] == begin]


def listed_so_far(store: Store) -> list[dict[str, Any]]:
    """Return the records that manifests list, while a job still writes."""
    try:
        return read_back(store).all_records()
    except (LookupError, ObjectNotFoundError):
        # an object came after its folder was listed, or went before it was read
        return []


def bounds_of(window: str) -> tuple[float, float]:
    """Return the bounds that a window's name states, in seconds since the epoch."""
    begin, end = (
        datetime.datetime.strptime(part, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC).timestamp()
        for part in window.split("-")
    )
    return begin, end


def streamed(feed: Feed, store: Store, client: Any, notes: pathlib.Path) -> Streamed:
    """Read a run back."""
    found = read_back(store)
    bucket, _, prefix = store.root.removeprefix("s3://").partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/manifests/")
    written = {
        item["Key"].removeprefix(f"{prefix}/"): item["LastModified"] for page in pages for item in page["Contents"]
    }
    firings = []
    panes: collections.Counter[tuple[str, str]] = collections.Counter()
    for key, urls in sorted(found.manifests.items()):
        place = _PLACE.fullmatch(key)
        assert place is not None, key
        [window] = {match["window"] for match in map(_WINDOW.fullmatch, urls) if match}
        lag = written[key].timestamp() - bounds_of(window)[1]
        firings.append(Firing(place["stream"], window, panes[place["stream"], window], lag, urls))
        panes[place["stream"], window] += 1
    noted = frozenset(Note(*json.loads(line)) for line in notes.read_text().splitlines())
    return Streamed(feed, found, firings, noted)
