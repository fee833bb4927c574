"""When the rows of a ColumnBatch happened, read off a column; and rows by the windows of their times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from beam_s3box.records.batches import LineBatch
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.event_times import LATEST, MICROS, EventTimes, micros_of
from beam_s3box.records.moments import PER_SECOND
from beam_s3box.records.paths import paths_of
from beam_s3box.records.rejected_lines import RejectedLines

_NONE: Final = -1
_DAY_MICROS: Final = 86_400 * MICROS
_FEW: Final = 200
"""Rows of which each alone is taken faster than all by columns."""


def split_columns(
    batch: ColumnBatch, times: EventTimes
) -> Iterator[tuple[int | None, ColumnBatch | LineBatch | RejectedLines]]:
    """Yield the rows of each window, as `WindowSplitter.split` yields lines."""
    paths = paths_of(times.field)
    # a name with a dot may be that of a field within another
    micros = _micros_of(batch.columns.get(paths[0][0])) if len(paths) == 1 else None
    if micros is None:
        for lines in batch.to_lines():
            yield from times.splitter.split(lines)
        return
    size = times.seconds * MICROS
    windows = np.where((micros < 0) | (micros > LATEST), _NONE, micros // size)
    order = np.argsort(windows, kind="stable")
    begins = np.flatnonzero(np.diff(windows[order])) + 1
    all_lines: LineBatch | None = None
    for places in np.split(order, begins):
        window = int(windows[places[0]])
        if window != _NONE and len(places) > _FEW:
            yield window * size, batch.part(places)
            continue
        all_lines = all_lines or batch.lines()
        lines = all_lines.part(places.tolist())
        if window == _NONE:
            yield from times.splitter.split(lines)
        else:
            yield window * size, lines


def _micros_of(column: Any) -> Any:
    """Return times in microseconds since 1970, -1 for none; None for a type of which each value is to be looked at."""
    if column is None:
        return None
    kind, types = column.type, pa.types
    if types.is_timestamp(kind):
        counts, units = _numbers(column.cast(pa.int64())), PER_SECOND[kind.unit]
        return counts // (units // MICROS) if units > MICROS else counts * (MICROS // units)
    if types.is_date32(kind):
        return _numbers(column.cast(pa.int32()).cast(pa.int64())) * _DAY_MICROS
    if types.is_integer(kind) and kind != pa.uint64():
        return _micros_of_numbers(_numbers(column.cast(pa.int64())))
    if types.is_string(kind) or types.is_large_string(kind):
        encoded = column.dictionary_encode()
        found = [micros_of(text) for text in encoded.dictionary.to_pylist()]
        different = np.array([_NONE if micros is None else micros for micros in (*found, None)], np.int64)
        return different[encoded.indices.fill_null(len(found)).to_numpy()]
    return None


def _numbers(column: Any) -> Any:
    return column.fill_null(_NONE).to_numpy()


def _micros_of_numbers(numbers: Any) -> Any:
    """Return what `micros_of` returns for each."""
    conditions = [numbers < 0, *(numbers < most for most in (10**11, 10**14, 10**17))]
    return np.select(conditions, [np.int64(_NONE), numbers * MICROS, numbers * 1_000, numbers], numbers // 1_000)
