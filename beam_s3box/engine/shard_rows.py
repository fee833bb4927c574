"""Rows of a bounded run's lists on their way from where manifests are written to where the run is finished."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from beam_s3box.engine.input_totals import InputTotals, StreamName
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_record import RunDetail
from beam_s3box.engine.run_totals import RunInput, StreamTotals
from beam_s3box.engine.shard_lists import (
    MAX_ROWS,
    ROWS_IN_SEGMENT,
    ListedShard,
    ShardList,
    segment_of,
    write_shard_list,
)
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, Segment, ShardFile, Size
from beam_s3box.stores import Store

Counts: TypeAlias = tuple[int, int, int, int, int]
"""Records, shards, raw bytes, object bytes, manifests."""


class ShardRows(NamedTuple):
    """Rows of some shards, compressed, and the totals of their streams. About 200 kB as an element of a pipeline.

    Attributes:
      segment: the rows.
      streams: the counts of each stream.
    """

    segment: Segment
    streams: Mapping[StreamName, Counts]


def rows_of(
    listed: Iterable[tuple[Manifest | None, Iterable[ShardFile]]], now: float, size: int = ROWS_IN_SEGMENT
) -> Iterator[ShardRows]:
    """Yield the rows of shards.

    Args:
      listed: manifests, each with its shards; None in place of a manifest for shards that none lists.
      now: when the manifests were written, in seconds since the epoch.
      size: rows that are compressed together.
    """
    rows: list[ListedShard] = []
    streams: dict[StreamName, Counts] = {}
    for manifest, files in listed:
        seen: set[StreamName] = set()
        for file in files:
            rows.append(listed_shard(file, manifest, now))
            name = (file.domain, file.namespace)
            is_first = manifest is not None and name not in seen
            seen.add(name)
            streams[name] = _added(
                streams.get(name), (file.records, 1, file.raw_bytes, file.object_bytes, int(is_first))
            )
            if len(rows) == size:
                yield ShardRows(segment_of(rows), streams)
                rows, streams = [], {}
    if rows:
        yield ShardRows(segment_of(rows), streams)


def listed_shard(file: ShardFile, manifest: Manifest | None, now: float) -> ListedShard:
    """Return the row of a shard; `now` is when its manifest was written, in seconds since the epoch."""
    if manifest is None:
        return ListedShard(file)
    return ListedShard(file, manifest.key, manifest.sha256, manifest.pane, round(now, 3))


class ShardListWriter:
    """Writes the lists of a bounded run while rows come, and adds up its streams. For one thread.

    Args:
      store: where to.
      layout: of the run.
      most: rows of a list.
    """

    def __init__(self, store: Store, layout: Layout, most: int = MAX_ROWS) -> None:
        self._store = store
        self._layout = layout
        self._most = most
        self._waiting: list[Segment] = []
        self._rows = 0
        self._lists: list[ShardList] = []
        self._streams: dict[StreamName, Counts] = {}
        self._seen: set[bytes] = set()

    def add(self, rows: ShardRows) -> None:
        """Take rows; the same ones again, of a runner with at-least-once delivery, change nothing.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        segment = Segment._make(rows.segment)
        digest = hashlib.sha256(segment.data).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        for name, counts in rows.streams.items():
            self._streams[name] = _added(self._streams.get(name), counts)
        if self._rows + segment.records > self._most:
            self._write()
        self._waiting.append(segment)
        self._rows += segment.records

    def size(self) -> tuple[Size, int]:
        """Return the size of all shards that came, and their number."""
        size, shards = NOTHING, 0
        for records, number, raw_bytes, object_bytes, _ in self._streams.values():
            size, shards = size.plus(Size(object_bytes, raw_bytes, records)), shards + number
        return size, shards

    def finish(self, totals: InputTotals | None = None) -> RunDetail:
        """Write what is left, and return what the run's record says.

        Args:
          totals: what came in; None if unknown.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        self._write()
        return detail_of(self._streams, totals)._replace(shard_lists=tuple(self._lists))

    def _write(self) -> None:
        if self._waiting:
            self._lists.append(write_shard_list(self._store, self._layout, self._waiting))
        self._waiting, self._rows = [], 0


def write_lists(
    store: Store,
    layout: Layout,
    listed: Iterable[tuple[Manifest | None, Iterable[ShardFile]]],
    totals: InputTotals | None,
    now: float,
) -> RunDetail:
    """Write the lists of a run whose shards are all here, and return what its record says.

    Args:
      store: where to.
      layout: of the run.
      listed: as in `rows_of`.
      totals: what came in; None if unknown.
      now: when the manifests were written, in seconds since the epoch.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    writer = ShardListWriter(store, layout)
    for rows in rows_of(listed, now):
        writer.add(rows)
    return writer.finish(totals)


def detail_of(counts: Mapping[StreamName, Counts], totals: InputTotals | None) -> RunDetail:
    """Return what a record says of the streams and of the input.

    Args:
      counts: what was written of each stream.
      totals: what came in; None if unknown.
    """
    letters = {} if totals is None else totals.streams
    names = sorted({*counts, *letters}, key=lambda name: (name[0] or "", name[1] or ""))
    streams = tuple(_totals(name, counts.get(name), letters.get(name, {})) for name in names)
    return RunDetail(streams=streams, input=None if totals is None else input_of(totals))


def input_of(totals: InputTotals) -> RunInput:
    """Return what a record says of the input."""
    return RunInput(
        accepted=totals.accepted,
        rejected=totals.rejected,
        reasons=tuple(totals.sorted_reasons()),
        bad_files=totals.bad_files,
    )


def _totals(name: StreamName, counts: Counts | None, letters: Mapping[str, int]) -> StreamTotals:
    records, shards, raw_bytes, object_bytes, manifests = counts or (0, 0, 0, 0, 0)
    return StreamTotals(
        domain=name[0],
        namespace=name[1],
        records=records,
        shards=shards,
        raw_bytes=raw_bytes,
        object_bytes=object_bytes,
        manifests=manifests,
        dead_letters=dict(letters),
    )


def _added(one: Counts | None, other: Counts) -> Counts:
    if one is None:
        return other
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3], one[4] + other[4]
