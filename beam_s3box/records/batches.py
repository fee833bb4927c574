"""Lines that are read together, and where they stand in their file or topic."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class LineBatch:
    """Lines of one file, or of one partition of a topic, that travel as one element, as each costs more than its line.

    Attributes:
      lines: JSON as bytes, without line breaks and blank lines.
      source: name of the file, or of the partition.
      numbers: of the lines in the file, from 1; a range where the lines follow one another. Of records of a partition
        or shard their positions, see `has_positions`.
      offset: the byte of the file at which the count of lines begins. It is more than 0 in a part of a large file: its
        first line is then the first one that begins there or behind.
      domain: of all of these lines, whatever they say themselves; None for what the write says.
      has_positions: whether the numbers are positions, such as Kafka's offsets, and not lines.
    """

    lines: list[bytes]
    source: str
    numbers: Sequence[Any]
    offset: int = 0
    domain: str | None = None
    has_positions: bool = False

    def part(self, indexes: Sequence[int]) -> LineBatch:
        """Return the lines with these places in the batch."""
        lines, numbers = self.lines, self.numbers
        return LineBatch(
            [lines[index] for index in indexes],
            self.source,
            [numbers[index] for index in indexes],
            self.offset,
            self.domain,
            self.has_positions,
        )
