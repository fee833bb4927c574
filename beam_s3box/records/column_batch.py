"""Rows that were read as columns: their lines of JSON in one text of Arrow, and the columns that they were made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import BATCH_BYTES

_FEW: Final = 1 << 16
"""Codes of so many groups are sorted in one pass."""


class Group(NamedTuple):
    """Rows with the same values in some columns.

    Attributes:
      key: these values: a tuple, one value, or None for no columns.
      text: their lines, with line breaks between.
      places: of the rows in their batch, in order.
    """

    key: Any
    text: bytes
    places: Any


@dataclasses.dataclass(frozen=True, slots=True)
class ColumnBatch:
    """Rows of one file that are read together, for steps that take them by columns; `to_lines` is for all others.

    Attributes:
      texts: array of Arrow; each text is valid JSON in one line, with its line break.
      columns: arrays of Arrow by the names of the fields that they became, all of them; None for one whose values were
        changed.
      source: name of the file.
      numbers: of the rows in the file, as in LineBatch.
    """

    texts: Any
    columns: Mapping[str, Any]
    source: str
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def lines(self) -> LineBatch:
        """Return the rows as one batch of lines, however large."""
        return LineBatch(self._text(0, len(self)).split(b"\n"), self.source, self.numbers)

    def to_lines(self) -> Iterator[LineBatch]:
        """Yield the rows as batches of lines."""
        lines = self.lines().lines
        step = max(1, len(lines) * BATCH_BYTES // (self._text_bytes() or 1))
        for start in range(0, len(lines), step):
            yield LineBatch(lines[start : start + step], self.source, self.numbers[start : start + step])

    def part(self, places: Any) -> ColumnBatch:
        """Return the rows with these places in the batch, given as an array of numpy, in this order."""
        columns = {name: None if column is None else column.take(places) for name, column in self.columns.items()}
        numbers = [self.numbers[place] for place in places.tolist()]
        return ColumnBatch(self.texts.take(places), columns, self.source, numbers)

    def part_of(self, groups: Sequence[Group]) -> ColumnBatch:
        """Return the rows of some groups, in order."""
        return self.part(np.sort(np.concatenate([group.places for group in groups])))

    def with_first(self, fields: Mapping[str, str | None]) -> ColumnBatch:
        """Return the rows with more fields, the first ones; those that the rows have stay as they are."""
        import pyarrow as pa
        import pyarrow.compute as pc

        new = {name: value for name, value in fields.items() if name not in self.columns}
        if not new:
            return self
        head = orjson.dumps(new)[:-1].decode() + ","
        columns = {name: pa.repeat(pa.scalar(value, pa.string()), len(self)) for name, value in new.items()}
        texts = pc.binary_replace_slice(self.texts, 0, 1, head)
        return dataclasses.replace(self, texts=texts, columns={**columns, **self.columns})

    @property
    def longest(self) -> int:
        """Bytes of the longest line."""
        return int(np.diff(self._offsets()).max()) - 1

    def groups(self, fields: Sequence[str]) -> list[Group] | None:
        """Return the rows by the values of some columns; the order within a group is kept.

        Args:
          fields: names of columns of texts or of whole numbers.

        Returns:
          None if one is not among the columns, or of another type.
        """
        found = [_encoded(self.columns.get(field)) for field in fields]
        if not all(found):
            return None
        codes = np.zeros(len(self), np.int64)
        for values, places in filter(None, found):
            codes = codes * len(values) + places
        order = np.argsort(codes.astype(np.uint16) if codes.max() < _FEW else codes, kind="stable")
        begins = np.flatnonzero(np.diff(codes[order], prepend=-1)).tolist()
        sorted_batch = self if len(begins) == 1 else dataclasses.replace(self, texts=self.texts.take(order))
        groups = []
        for begin, end in zip(begins, [*begins[1:], len(self)], strict=True):
            first = int(order[begin])
            key = tuple(values[places[first]] for values, places in filter(None, found))
            named = key if len(key) > 1 else key[0] if key else None
            groups.append(Group(named, sorted_batch._text(begin, end), order[begin:end]))
        return groups

    def _offsets(self) -> Any:
        begin = self.texts.offset
        return np.frombuffer(self.texts.buffers()[1], np.int32)[begin : begin + len(self) + 1]

    def _text(self, begin: int, end: int) -> bytes:
        """Return the lines of some neighbours, without the last line break."""
        offsets = self._offsets()
        text: bytes = memoryview(self.texts.buffers()[2])[offsets[begin] : offsets[end] - 1].tobytes()
        return text

    def _text_bytes(self) -> int:
        offsets = self._offsets()
        return int(offsets[-1] - offsets[0])


def _encoded(column: Any) -> tuple[list[Any], Any] | None:
    """Return the different values of a column, and which of them each row has; None for a type that has no keys."""
    import pyarrow as pa

    if column is None:
        return None
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        return None
    encoded = column.dictionary_encode()
    values = [*encoded.dictionary.to_pylist(), None]
    return values, encoded.indices.fill_null(len(values) - 1).to_numpy().astype(np.int64)
