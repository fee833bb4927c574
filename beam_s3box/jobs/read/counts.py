"""What a streaming job counts of its input, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

READ: Final = "records_read"
UNTIMED: Final = "records_untimed"
AHEAD: Final = "records_ahead"
TOO_LATE: Final = "records_too_late"

ARRIVALS: Final[Mapping[str, str]] = {
    UNTIMED: "without a usable time",
    AHEAD: "with a time to come",
    TOO_LATE: "too late for their window",
}
"""Records that count for the time their file arrived, by the reason; also Beam's counters of these names."""

ReadCount: TypeAlias = tuple[str, int]
"""One of these names, and a number to add."""


def note_of(counts: Mapping[str, int]) -> str:
    """Return the sentence about records that count for the time their file arrived; empty for none."""
    parts = [f"{counts[name]:,} {words}" for name, words in ARRIVALS.items() if counts.get(name)]
    return f"records that count for the time their file arrived: {', '.join(parts)}" if parts else ""
