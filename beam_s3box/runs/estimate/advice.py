"""What other limits would do, and what is worth a warning."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final, NamedTuple

from beam_s3box.engine.plan import RunPlan
from beam_s3box.records.streams import Stream
from beam_s3box.runs.estimate.arrival import Arrival
from beam_s3box.runs.estimate.prices import Prices
from beam_s3box.runs.estimate.run_estimate import RunEstimate, estimate_run
from beam_s3box.runs.estimate.trial import SMALL_BYTES, TrialResult
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.sizes import MiB, format_size

_OBJECT_BYTES: Final = (1 * MiB, 4 * MiB, 16 * MiB, 64 * MiB, 256 * MiB)
_WINDOWS: Final = (60.0, 300.0, 900.0, 3_600.0, 86_400.0)
_CLOSE: Final = 1.5
"""Sizes that differ by less are not worth a row each."""

_MANY_SMALL: Final = 0.5
"""The share of small shards from which on a warning says so."""

_MANY_COPIES: Final = 1_000
"""COPYs of a run, or of a day; each is a transaction of some seconds that locks its table and the ledger."""

_DAY_SECONDS: Final = 86_400.0


class Alternative(NamedTuple):
    """Another choice, and what it would do.

    Attributes:
      option: the option that is another one.
      value: its value, in bytes or seconds.
      chosen: whether it is the one that was given.
      estimate: what the run would write.
    """

    option: str
    value: float
    chosen: bool
    estimate: RunEstimate


class _OtherSize:
    """The limits of a stream, but for the size of an object."""

    def __init__(self, plan: RunPlan, object_bytes: int) -> None:
        self._limits_of = plan.limits_of
        self._object_bytes = object_bytes

    def __call__(self, stream: Stream) -> StreamLimits:
        return dataclasses.replace(self._limits_of(stream), max_object_bytes=self._object_bytes)


def alternatives(
    trial: TrialResult, plan: RunPlan, given: RunEstimate, arrival: Arrival | None, prices: Prices
) -> list[Alternative]:
    """Return other sizes of bounded input's shards, or other windows, with the given one among them."""
    if arrival is not None:
        windows = sorted({arrival.window, *(each for each in _WINDOWS if each <= arrival.seconds)})
        return [
            Alternative(
                "window",
                window,
                window == arrival.window,
                given
                if window == arrival.window
                else estimate_run(trial, plan, exact=given.exact, arrival=_wider(arrival, window), prices=prices),
            )
            for window in windows
        ]
    limits = {plan.limits_of(row.stream).max_object_bytes for row in given.streams}
    chosen = limits.pop() if len(limits) == 1 else 0
    found: list[Alternative] = []
    for size in sorted(
        {chosen, *(size for size in _OBJECT_BYTES if not chosen / _CLOSE < size < chosen * _CLOSE)} - {0}
    ):
        other = dataclasses.replace(plan, limits_of=_OtherSize(plan, size))
        estimate = given if size == chosen else estimate_run(trial, other, exact=False, prices=prices)
        # where each stream is one shard, larger ones are all the same
        if size == chosen or not found or estimate.shards < found[-1].estimate.shards:
            found.append(Alternative("max_object_bytes", size, size == chosen, estimate))
    return found


def _wider(arrival: Arrival, window: float) -> Arrival:
    """Return the arrival in fixed windows of another length, with shards that may grow as old."""
    return dataclasses.replace(arrival, window=window, slide=window, max_seconds=None, triggering_frequency=None)


def _fix_of_small(estimate: RunEstimate, arrival: Arrival | None) -> str:
    if arrival:
        return "a longer --window, and a --max_seconds as long, make fewer and larger ones"
    first = estimate.streams[0]
    if first.shards > 1 and first.largest_bytes < SMALL_BYTES:
        return "raise --max_object_bytes"
    return "name streams by a field with fewer values, or load all by one manifest (--manifest_scope=run)"


def warnings(estimate: RunEstimate, arrival: Arrival | None) -> Iterator[str]:
    """Yield what is worth a warning, each with a way out."""
    if estimate.shards and estimate.small / estimate.shards >= _MANY_SMALL and estimate.shards > 1:
        mean = format_size(round(estimate.object_bytes / estimate.shards))
        fix = _fix_of_small(estimate, arrival)
        yield (
            f"{estimate.small:,.0f} of {estimate.shards:,.0f} shards are smaller than 1 MB, {mean} on average; "
            f"Redshift's documentation recommends 1 MB to 1 GB: {fix}"
        )
    copies_a_day = estimate.manifests * (_DAY_SECONDS / arrival.seconds if arrival else 1.0)
    if copies_a_day >= _MANY_COPIES:
        often = " a day" if arrival else ""
        yield (
            f"{copies_a_day:,.0f} manifests{often} are as many COPYs: --manifest_scope=run lists all streams of a "
            "window together, where they go into one table"
        )
    records = estimate.records + sum(estimate.dead_letters.values())
    for reason, number in estimate.dead_letters.items():
        yield f"{number:,.0f} records ({number / records:.1%}) are dead letters, {reason}: {estimate.examples[reason]}"
