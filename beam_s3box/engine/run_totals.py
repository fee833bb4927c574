"""What a run's record says about its input, and about each of its streams."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from beam_s3box.engine.input_totals import DeadLetterReason


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamTotals:
    """What a run wrote of one stream.

    Attributes:
      domain, namespace: the stream; None if it is not known, as of dead letters without these fields.
      records: in its shards.
      shards: their number.
      raw_bytes: their bytes before compression.
      object_bytes: their bytes in the store.
      manifests: how many manifests list them.
      dead_letters: records that could not be packed, by reason.
    """

    domain: str | None
    namespace: str | None
    records: int = 0
    shards: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0
    manifests: int = 0
    dead_letters: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Records that could not be packed."""
        return sum(self.dead_letters.values())

    def plus(self, other: StreamTotals) -> StreamTotals:
        """Return the sum of two totals of the stream."""
        letters = dict(self.dead_letters)
        for reason, number in other.dead_letters.items():
            letters[reason] = letters.get(reason, 0) + number
        return StreamTotals(
            domain=self.domain,
            namespace=self.namespace,
            records=self.records + other.records,
            shards=self.shards + other.shards,
            raw_bytes=self.raw_bytes + other.raw_bytes,
            object_bytes=self.object_bytes + other.object_bytes,
            manifests=self.manifests + other.manifests,
            dead_letters=letters,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunInput:
    """What came in.

    Attributes:
      accepted: records that were packed.
      rejected: records that are dead letters.
      files: the number of files that were read; None if unknown.
      bytes: their bytes; None if unknown.
      reasons: of the dead letters, the most frequent first, each with its first example.
      bad_files: some of the files whose records are all dead letters, each with their number.
      positions: where sources began and ended, such as ranges of offsets, by source.
      stopped_at: where reading was interrupted, so that the rest is not in the run; empty if all was read.
    """

    accepted: int = 0
    rejected: int = 0
    files: int | None = None
    bytes: int | None = None
    reasons: tuple[DeadLetterReason, ...] = ()
    bad_files: tuple[tuple[str, int], ...] = ()
    positions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stopped_at: str = ""

    @property
    def records(self) -> int:
        """All records."""
        return self.accepted + self.rejected


def joined_input(known: RunInput | None, found: RunInput | None) -> RunInput | None:
    """Return what was found of the input, with what was known before."""
    if known is None or found is None:
        return found or known
    return dataclasses.replace(
        found,
        files=known.files if found.files is None else found.files,
        bytes=known.bytes if found.bytes is None else found.bytes,
        positions={**known.positions, **found.positions},
        stopped_at=found.stopped_at or known.stopped_at,
    )
