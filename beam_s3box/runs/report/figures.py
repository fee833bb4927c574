"""A run in figures: what a report shows of it, and nothing that grows with the number of its records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from beam_s3box.engine.input_totals import DeadLetterReason
from beam_s3box.engine.run_record import RunRecord


class Distribution:
    """Numbers, and how they are spread."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._is_sorted = True

    def add(self, value: float) -> None:
        """Add a number."""
        self.values.append(value)
        self._is_sorted = False

    def __len__(self) -> int:
        return len(self.values)

    def quantile(self, share: float) -> float:
        """Return the number that so large a share of them does not exceed, 0 if there are none."""
        if not self._is_sorted:
            self.values.sort()
            self._is_sorted = True
        return self.values[min(int(len(self.values) * share), len(self.values) - 1)] if self.values else 0.0

    @property
    def mean(self) -> float:
        """Their mean, 0 if there are none."""
        return sum(self.values) / len(self.values) if self.values else 0.0


@dataclasses.dataclass(slots=True)
class StreamFigures:
    """What a run wrote of one stream.

    Attributes:
      domain, namespace: its name, empty for dead letters of no stream.
      records, shards, raw_bytes, object_bytes: in its shards.
      manifests: number of manifests that list them.
      dead_letters: number of records that could not be packed.
      least_bytes, most_bytes: of the smallest and the largest shard.
      limit_bytes: of a shard; None if unknown.
      waits: number of shards whose waiting time is known.
      wait_seconds, most_wait_seconds: from a shard's first record until it was listed, summed and at most.
    """

    domain: str
    namespace: str
    records: int = 0
    shards: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0
    manifests: int = 0
    dead_letters: int = 0
    least_bytes: int = 0
    most_bytes: int = 0
    limit_bytes: int | None = None
    waits: int = 0
    wait_seconds: float = 0.0
    most_wait_seconds: float = 0.0

    @property
    def is_named(self) -> bool:
        """Whether this is a stream, and not the dead letters of none."""
        return bool(self.domain or self.namespace)

    @property
    def ratio(self) -> float:
        """Bytes before compression for each byte after it; 0 without shards or where that is unknown."""
        return self.raw_bytes / self.object_bytes if self.object_bytes else 0.0

    @property
    def mean_wait_seconds(self) -> float | None:
        """Mean seconds from a shard's first record until it was listed; None if unknown."""
        return self.wait_seconds / self.waits if self.waits else None


@dataclasses.dataclass(slots=True)
class Sealing:
    """The shards that one reason sealed."""

    shards: int = 0
    object_bytes: int = 0


@dataclasses.dataclass(slots=True)
class WindowFigures:
    """What a run lists of one window, or of one span of time.

    Attributes:
      begin, end: of the window, in seconds since the epoch.
      records, shards, object_bytes: in its shards.
      manifests: number of manifests.
      panes: the highest number of a firing, from 0: more than that are late or early ones.
      first_listed, last_listed: when its first and last manifest was written, in seconds since the epoch; None if
        unknown.
    """

    begin: float
    end: float
    records: int = 0
    shards: int = 0
    object_bytes: int = 0
    manifests: int = 0
    panes: int = 0
    first_listed: float | None = None
    last_listed: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LetterFigures:
    """Dead letters.

    Attributes:
      records: how many; None if unknown.
      reasons: the most frequent first, each with an example; empty if unknown.
      examples: more examples by reason, from the files.
      files, file_bytes: their files in the store.
      url: where these are.
      unreadable: files that were to be read and are damaged.
      is_complete: whether the reasons count all of them, or those of some files.
    """

    records: int | None
    reasons: Sequence[DeadLetterReason]
    examples: Mapping[str, Sequence[str]]
    files: int
    file_bytes: int
    url: str
    unreadable: Sequence[str]
    is_complete: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFigures:
    """A run in figures.

    Attributes:
      destination: where it wrote.
      record: of the run.
      streams: the largest first.
      records, shards, raw_bytes, object_bytes: in all shards that count.
      manifests: number of manifests that count.
      sizes: of shards, in bytes.
      waits: seconds from a shard's first record until it was listed, where they are known.
      waits_stored: whether these begin when the shard was stored instead: nothing says when records arrived.
      upload_waits: seconds from a shard's first record until it was in the store, where they are known.
      sealed_by: why shards were sealed; "" where that is unknown.
      windows: in the order of their begin; spans of time for a run without windows.
      has_windows: whether these are windows.
      letters: the dead letters.
    """

    destination: str
    record: RunRecord
    streams: Sequence[StreamFigures]
    records: int
    shards: int
    raw_bytes: int
    object_bytes: int
    manifests: int
    sizes: Distribution
    waits: Distribution
    waits_stored: bool
    upload_waits: Distribution
    sealed_by: Mapping[str, Sealing]
    windows: Sequence[WindowFigures]
    has_windows: bool
    letters: LetterFigures

    @property
    def ratio(self) -> float:
        """Bytes before compression for each byte after it."""
        return self.raw_bytes / self.object_bytes if self.object_bytes else 0.0

    @property
    def records_in(self) -> int | None:
        """Records that came in; None if unknown, as before a run has finished."""
        known = self.record.input
        if known is None or self.record.state != "finished" or self.record.counts_uploads:
            return None
        if self.records and not known.accepted:
            return None
        return known.records

    @property
    def uploaded(self) -> int | None:
        """Records that a streamer uploaded, which its manifests need not list; None of other runs, or if unknown."""
        record = self.record
        return record.size.records if record.counts_uploads and record.state == "finished" else None

    @property
    def uploads_text(self) -> str:
        """What is known of a streamer's uploads, as a sentence; "" for other runs."""
        if not self.record.counts_uploads:
            return ""
        known = "a streamer's record says how much it uploaded when it has ended in order"
        if self.uploaded is not None:
            known = f"{self.uploaded:,} records uploaded by this streamer"
        if self.record.has_no_manifests:
            return f"{known}; it writes no manifests"
        return f"{known}; it lists what the one before it on the folder left, and the next one lists what it leaves"

    @property
    def missing(self) -> int | None:
        """Records that are neither listed nor dead letters; None if unknown. 0 is what must be."""
        if self.records_in is None:
            return None
        missing = self.records_in - self.records - (self.letters.records or 0)
        # a record is listed in each of its windows, which may overlap
        return None if self.has_windows and missing < 0 else missing
