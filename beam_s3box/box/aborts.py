"""Why a box was aborted, as its errors say it."""

from __future__ import annotations

from typing import Final

AGAIN: Final = "pack everything again into box.next_box()"
"""What to do then."""


def interrupted(why: str) -> str:
    """Return the reason when an exception interrupted a step that moves records."""
    return f"the box was aborted because {why} interrupted a step that moves its records; {AGAIN}"


def forked(process: int) -> str:
    """Return the reason in a process that was forked from that one."""
    return (
        f"the box belongs to process {process}, which this one was forked from, and its records are published there; "
        "pack those of this process into box.next_box()"
    )
