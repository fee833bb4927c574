"""Where an earlier run ended, as its record says: a later run goes on there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError
from beam_s3box.sources.positions import PartRange
from beam_s3box.sources.source import Positions
from beam_s3box.stores import Store


def positions_of_run(store: Store, run_id: str, source: str, option: str) -> Positions:
    """Return the positions that come after what a run has listed.

    Args:
      store: where the run wrote.
      run_id: its id.
      source: the name of the source.
      option: that named the run.

    Raises:
      ConfigurationError: there is no such run, it did not end in order, or it read something else.
      StoreError: its record can't be read.
    """
    record = find_run(store, run_id).record
    if record.state != "finished":
        raise ConfigurationError(
            f"{option}=run:{run_id}: that run {_STATES[record.state]}, so nobody knows which records it listed last. "
            f"{_WAYS[record.state]}"
        )
    found = record.input.positions.get(source) if record.input is not None else None
    if not found:
        raise ConfigurationError(
            f"{option}=run:{run_id}: the record of that run has no positions of {source}: it read something else, or "
            "its runner ended it, and not `s3box stop` or --stop_after; begin at a time"
        )
    return {part: ends["next"] for part, ends in found.items()}


def noted(ranges: Iterable[PartRange]) -> dict[str, Any]:
    """Return what has been read of the parts of a source, as a run's record has it."""
    return {one.part: {"first": one.first, "next": one.position} for one in sorted(ranges)}


_STATES = {"running": "has not ended", "failed": "failed"}
_WAYS = {
    "running": "Stop it in order by `s3box stop`, and wait until it has ended; or begin at a time",
    "failed": "On Flink with checkpoints it goes on from its last checkpoint; else begin at a time, in a new "
    "destination, or at the one where that run began, which lists again what it had listed",
}
