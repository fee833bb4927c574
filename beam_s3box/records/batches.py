"""Lines that are read together, and where they stand in their file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class LineBatch:
    """Lines of one file that travel as one element, as each element costs more than its line.

    Attributes:
      lines: JSON as bytes, without line breaks and blank lines.
      source: name of the file.
      numbers: of the lines in the file, from 1; a range where the lines follow one another.
      offset: the byte of the file at which the count of lines begins. It is more than 0 in a part of a large file: its
        first line is then the first one that begins there or behind.
    """

    lines: list[bytes]
    source: str
    numbers: Sequence[int]
    offset: int = 0

    def part(self, indexes: Sequence[int]) -> LineBatch:
        """Return the lines with these places in the batch."""
        lines, numbers = self.lines, self.numbers
        return LineBatch(
            [lines[index] for index in indexes], self.source, [numbers[index] for index in indexes], self.offset
        )
