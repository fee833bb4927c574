"""What a probe of a store found."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Verdict(enum.StrEnum):
    """Whether the store does what the probe tried."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"
    """It could not be tried."""


class Finding(NamedTuple):
    """What a probe found.

    Attributes:
      name: of the probe.
      verdict: whether the store does it.
      detail: what was seen, as a phrase.
    """

    name: str
    verdict: Verdict
    detail: str


def holds(name: str, detail: str) -> Finding:
    """Return the finding of a store that does it."""
    return Finding(name, Verdict.HOLDS, detail)


def fails(name: str, detail: str) -> Finding:
    """Return the finding of a store that does not do it."""
    return Finding(name, Verdict.FAILS, detail)


def unknown(name: str, detail: str) -> Finding:
    """Return the finding of what could not be tried."""
    return Finding(name, Verdict.UNKNOWN, detail)
