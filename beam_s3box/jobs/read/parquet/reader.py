"""Reads Parquet files, some row groups at a time, in a plain install: pandas decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.columns.json_texts import RowsNeededError, json_texts
from beam_s3box.jobs.read.columns.lines import lines_of, pieces_of
from beam_s3box.jobs.read.names import check_names
from beam_s3box.jobs.read.parquet.values import values_of
from beam_s3box.jobs.read.parquet.views import without_views
from beam_s3box.jobs.read.row_batches import ReadColumns, batches_of
from beam_s3box.jobs.read.seekable import SizedFile, errors_named, seekable
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.sizes import MiB

SPLIT_BYTES: Final = 64 * MiB
"""Bytes of values that one worker reads at a time, about."""

_BATCH_BYTES: Final = 4 * MiB
_MOST_ROWS: Final = 8_192
_BUFFER_BYTES: Final = MiB
"""Of a column: larger ones are read piece by piece."""

_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_SIGNATURE_BYTES: Final = 28
"""Behind a footer that is in plain text while columns are encrypted. Source: Parquet modular encryption, 5.2."""


def split_parquet(file: SizedFile, path: str) -> Iterator[tuple[int, int]]:
    """Yield the ranges of row groups that workers share, as (first, end).

    Raises:
      ConfigurationError: the file can't be read; says its name and why.
    """
    with errors_named(path, "Parquet"):
        metadata = _open(seekable(file), path).metadata
        first, held = 0, 0
        for group in range(metadata.num_row_groups):
            held += metadata.row_group(group).total_byte_size
            if held >= SPLIT_BYTES:
                yield first, group + 1
                first, held = group + 1, 0
        if first < metadata.num_row_groups:
            yield first, metadata.num_row_groups


def read_parquet(
    file: SizedFile, path: str, first: int = 0, end: int = -1, *, by_columns: bool = True
) -> Iterator[ReadColumns]:
    """Yield the rows of a file, or of the row groups from `first` to before `end`.

    Args:
      file: the file.
      path: of the file.
      first: row group.
      end: the row group behind the last one; -1 for all.
      by_columns: whether many rows may be written together.

    Raises:
      ConfigurationError: the file can't be read, has encrypted columns or two of one name; says its name and why.
    """
    with errors_named(path, "Parquet"):
        parquet = _open(seekable(file), path)
        _check_fields(parquet.schema_arrow, path)
    return _read(parquet, path, first, parquet.num_row_groups if end < 0 else end, by_columns)


def _open(source: BinaryIO, path: str) -> Any:
    size = source.seek(0, 2)
    if size < 2 * len(_MAGIC) + 4:
        raise ConfigurationError(
            f"input={path!r} has {size} bytes, too few for a Parquet file: copy or write it again, or leave it out"
        )
    source.seek(size - 8)
    tail = source.read(8)
    length, magic = int.from_bytes(tail[:4], "little"), tail[4:]
    if magic == _ENCRYPTED:
        raise _encrypted(path)
    if magic != _MAGIC:
        raise ConfigurationError(
            f"input={path!r} does not end as a Parquet file does, with PAR1: it was cut off, or is another kind of "
            "file; copy or write it again, or leave it out"
        )
    # microseconds hold all years that INT96 is used for, nanoseconds turn 9999 into 1816
    parquet = pq.ParquetFile(
        source, coerce_int96_timestamp_unit="us", pre_buffer=False, buffer_size=_BUFFER_BYTES, memory_map=False
    )
    # the reader would abort the process at the first column without its key
    if length - parquet.metadata.serialized_size == _SIGNATURE_BYTES:
        raise _encrypted(path)
    _check_rows(parquet.metadata)
    return parquet


def _check_rows(metadata: Any) -> None:
    """Raise ValueError if row groups are missing; some writers give the file fewer rows than they wrote."""
    held = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if held < metadata.num_rows:
        raise ValueError(f"its row groups have {held} rows, and the file has {metadata.num_rows} by its footer")


def _encrypted(path: str) -> ConfigurationError:
    return ConfigurationError(
        f"input={path!r} is an encrypted Parquet file, which can't be read here: decrypt it first, or leave it out"
    )


def _check_fields(fields: Iterable[Any], path: str, inside: str = "") -> None:
    """Raise ConfigurationError if two columns, or two fields of a struct, have one name."""
    fields = list(fields)
    check_names([field.name for field in fields], path, inside)
    for field in fields:
        for struct in _structs_in(field.type):
            _check_fields(struct, path, f"{inside}{field.name}.")


def _structs_in(kind: Any) -> Iterator[Any]:
    if pa.types.is_struct(kind):
        yield kind
    elif pa.types.is_map(kind):
        yield from _structs_in(kind.key_type)
        yield from _structs_in(kind.item_type)
    elif pa.types.is_nested(kind) and not pa.types.is_union(kind):
        yield from _structs_in(kind.value_type)


def _read(parquet: Any, path: str, first: int, end: int, by_columns: bool) -> Iterator[ReadColumns]:
    number = sum(parquet.metadata.row_group(group).num_rows for group in range(first)) + 1

    def where() -> str:
        return f" after row {number - 1}"

    for group in range(first, end):
        for batch in _batches(parquet, group, path, where):
            for piece in pieces_of(batch):
                with errors_named(path, "Parquet", where):
                    texts = _lines_of(piece) if by_columns else None
                    rows = _rows_of(piece) if texts is None else ()
                if texts is None:
                    yield from batches_of(enumerate(rows, number), path)
                else:
                    columns = dict(zip(piece.schema.names, piece.columns, strict=True))
                    yield ColumnBatch(texts, columns, path, range(number, number + piece.num_rows))
                number += piece.num_rows


def _batches(parquet: Any, group: int, path: str, where: Callable[[], str]) -> Iterator[Any]:
    """Yield the rows of a row group, all that the footer says: the library is content with fewer."""
    about = parquet.metadata.row_group(group)
    row_bytes = max(1, about.total_byte_size // max(1, about.num_rows))
    batch_rows = min(_MOST_ROWS, max(1, _BATCH_BYTES // row_bytes))
    batches = parquet.iter_batches(batch_rows, [group], use_threads=False)
    missing = about.num_rows
    while True:
        with errors_named(path, "Parquet", where):
            batch = next(batches, None)
            if batch is None and missing:
                raise ValueError(
                    f"row group {group} has {about.num_rows - missing} rows, and {about.num_rows} by the footer"
                )
        if batch is None:
            return
        missing -= batch.num_rows
        with errors_named(path, "Parquet", where):
            plain = without_views(batch)
        yield plain


def _lines_of(batch: Any) -> Any:
    """Return the lines of rows; None if not all can be written together."""
    names = batch.schema.names
    if not names:
        return None
    try:
        return lines_of(names, [json_texts(column, name) for column, name in zip(batch.columns, names, strict=True)])
    except (RowsNeededError, pa.ArrowException):
        return None


def _rows_of(batch: Any) -> Iterable[dict[str, Any]]:
    names = batch.schema.names
    if not names:
        return ({} for _ in range(batch.num_rows))
    columns = [values_of(column, name) for column, name in zip(batch.columns, names, strict=True)]
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
