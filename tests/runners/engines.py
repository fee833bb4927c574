"""What the tests know of an engine."""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """A running engine: Prism, Flink within Beam's job server, or a Flink cluster."""

    def options(self, *, streaming: bool = False) -> list[str]:
        """Return the options of a pipeline that shall run there."""
        ...
