"""Adds up what a run wrote, by stream, and sums it up as JSON."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.shards.model import ShardFile

Names: TypeAlias = tuple[str, str]

WHOLE_RUN: Final[Names] = ("", "")
"""Stands for the run: no stream has empty names."""


class Tally(NamedTuple):
    """What is counted, for a stream or for the whole run.

    Attributes:
      records, shards, raw_bytes, object_bytes: in shards.
      listed: records in manifests, or in shards where there are no manifests.
      dead_letters: records that could not be packed.
      manifests: their URLs.
      input: what came in.
    """

    records: int = 0
    shards: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0
    listed: int = 0
    dead_letters: int = 0
    manifests: tuple[str, ...] = ()
    input: InputTotals = InputTotals()

    def plus(self, other: Tally) -> Tally:
        """Return the sum, measure by measure; the manifests of both."""
        counts = map(operator.add, self[:-1], other[:-1])
        return Tally._make((*counts, self.input.plus(other.input)))


def tally_of_shard(file: ShardFile, *, has_manifests: bool) -> tuple[Names, Tally]:
    """Return what a shard adds, and to whom; where there are manifests, they say what is listed."""
    listed = 0 if has_manifests else file.records
    return (file.domain, file.namespace), Tally(file.records, 1, file.raw_bytes, file.object_bytes, listed)


def tally_of_manifest(manifest: Manifest) -> tuple[Names, Tally]:
    """Return what a manifest adds, and to whom."""
    names = WHOLE_RUN if manifest.domain is None else (manifest.domain, str(manifest.namespace))
    return names, Tally(listed=manifest.records, manifests=(manifest.url,))


def tally_of_input(totals: InputTotals) -> tuple[Names, Tally]:
    """Return what the totals of the input add, to the run."""
    return WHOLE_RUN, Tally(dead_letters=totals.rejected, input=totals)


def sum_tallies(tallies: Iterable[tuple[Names, Tally]]) -> dict[Names, Tally]:
    """Return the sums by stream."""
    sums: dict[Names, Tally] = {}
    for names, tally in tallies:
        sums[names] = sums.get(names, Tally()).plus(tally)
    return sums


def render_summary(run_id: str, tallies: Iterable[tuple[Names, Tally]]) -> bytes:
    """Return the summary as JSON, streams by name."""
    by_stream = dict(tallies)
    run = by_stream.pop(WHOLE_RUN, Tally())
    total = run
    for tally in by_stream.values():
        total = total.plus(tally)
    return orjson.dumps(
        {
            "run_id": run_id,
            "records_listed": total.listed,
            "dead_letters": total.dead_letters,
            "dead_letter_reasons": total.input.sorted_reasons(),
            "streams": [_row(*names, by_stream[names]) for names in sorted(by_stream)],
            "manifests": sorted(total.manifests),
        }
    )


def _row(domain: str, namespace: str, tally: Tally) -> dict[str, Any]:
    return {
        "domain": domain,
        "namespace": namespace,
        "records": tally.records,
        "shards": tally.shards,
        "raw_bytes": tally.raw_bytes,
        "object_bytes": tally.object_bytes,
        "manifests": sorted(tally.manifests),
    }
