"""What becomes of fetched records: batches of JSON as bytes, or rows that know where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from beam_s3box.records.batches import LineBatch
from beam_s3box.sources.source import Fetched, Source
from beam_s3box.sources.times import Placed


class Elements(Protocol):
    """Makes elements. It is pickled."""

    def of(self, source: Source, fetched: Fetched, placed: Placed) -> Iterator[tuple[int, Any]]:
        """Yield elements, each with its time in microseconds since 1970."""
        ...


class Batches:
    """Makes LineBatch elements: the records of one part and period that were fetched together."""

    def of(self, source: Source, fetched: Fetched, placed: Placed) -> Iterator[tuple[int, LineBatch]]:
        """Yield batches, each stamped with the begin of its period."""
        if not fetched.values:
            return
        part = fetched.part
        batch = LineBatch(
            fetched.values,
            source.name_of(part),
            fetched.numbers,
            domain=source.domain_of(part),
            has_positions=True,
        )
        for micros, places in placed.groups.items():
            yield micros, batch if len(places) == len(fetched.values) else batch.part(places)


class Rows:
    """Makes a row of each record, stamped with when that came; what is a row is the source's own business."""

    def of(self, source: Source, fetched: Fetched, placed: Placed) -> Iterator[tuple[int, Any]]:
        """Yield rows."""
        return source.rows(fetched)
