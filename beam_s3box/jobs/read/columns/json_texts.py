"""The JSON of a column's values, as the write has it of each one alone.

What Arrow writes in the same way is written by Arrow, floating-point numbers by orjson in one call. Values of other
types are written one by one. A value that can't be written leaves its whole batch to the rows, which say what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from beam_s3box.errors import RecordError
from beam_s3box.jobs.read.parquet.values import values_of
from beam_s3box.records.encoding import JSON_OPTIONS
from beam_s3box.records.json_values import json_default
from beam_s3box.records.moments import PER_SECOND

_FIRST_PRINTABLE: Final = 0x20
_FIRST_BEYOND_ASCII: Final = 0x80
_MICROS: Final = 1_000_000
_DAY_SECONDS: Final = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""The first and the last day of the years 1 to 9999, counted from 1970-01-01."""

_FRACTION: Final = 7
"""Characters of a fraction of a second."""

_DEEPEST: Final = 100
"""Types within types: orjson has a limit, which is far beyond."""


class RowsNeededError(Exception):
    """A value can't be written: only its row can say so."""


class JsonTexts(NamedTuple):
    """The JSON of a column's values.

    Attributes:
      texts: of Arrow; null for null.
      is_quoted: whether they still have to be put in quotes.
    """

    texts: Any
    is_quoted: bool = False


def json_texts(array: Any, name: str, depth: int = 0) -> JsonTexts:
    """Return the JSON of an array's values.

    Args:
      array: of Arrow.
      name: of the column, with dots between the names of nested ones.
      depth: how many types there are around it.

    Raises:
      RowsNeededError: see there.
    """
    kind, types = array.type, pa.types
    if depth > _DEEPEST:
        raise RowsNeededError
    if types.is_dictionary(kind):
        texts, is_quoted = json_texts(array.dictionary, name, depth)
        return JsonTexts(texts.take(array.indices), is_quoted)
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return JsonTexts(array.cast(pa.string()))
    if types.is_floating(kind):
        return JsonTexts(_floats(array.cast(pa.float64())))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return JsonTexts(escaped(_in_utf8(array)), True)
    if types.is_date32(kind) or types.is_timestamp(kind) or types.is_time(kind):
        return JsonTexts(_times(array), True)
    if types.is_decimal(kind):
        return _decimals(array, name)
    if types.is_struct(kind) and kind.num_fields:
        return JsonTexts(_structs(array, name, depth))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return JsonTexts(_lists(array, name, depth))
    return JsonTexts(_one_by_one(array, name))


def objects_of(names: Sequence[str], columns: Sequence[JsonTexts], end: str = "") -> Any:
    """Return objects with these fields, which are at least one.

    Args:
      names: of the fields.
      columns: their values.
      end: behind each object.
    """
    parts: list[Any] = []
    between = "{"
    for name, (texts, is_quoted) in zip(names, columns, strict=True):
        between += orjson.dumps(name).decode() + ":"
        if is_quoted and texts.null_count:
            texts, is_quoted = _in_quotes(texts), False
        quote = '"' if is_quoted else ""
        parts += [between + quote, texts]
        between = f"{quote},"
    return pc.binary_join_element_wise(
        *parts, f"{between[:-1]}}}{end}", "", null_handling="replace", null_replacement="null"
    )


def escaped(texts: Any) -> Any:
    """Return texts as they stand between the quotes of JSON; they are valid UTF-8."""
    data = data_of(texts)
    if not data.size:
        return texts
    quotes_and_controls = [ord("\\"), ord('"'), *range(_FIRST_PRINTABLE)]
    if data.min() >= _FIRST_PRINTABLE and not (data == quotes_and_controls[0]).any() and not (data == ord('"')).any():
        return texts
    there = np.bincount(data, minlength=256)
    for code in quotes_and_controls:  # the backslash first, as the others are written with one
        if there[code]:
            character = chr(code)
            texts = pc.replace_substring(texts, character, orjson.dumps(character)[1:-1].decode())
    return texts


def data_of(texts: Any) -> Any:
    """Return the bytes of an array of texts, one behind the other."""
    _, offsets, data = texts.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    ends = offsets_of(texts, offsets)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def offsets_of(texts: Any, buffer: Any = None) -> Any:
    """Return where in its data each text of an array begins, and where the last one ends."""
    if buffer is None:
        buffer = texts.buffers()[1]
    return np.frombuffer(buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]


def _in_utf8(array: Any) -> Any:
    texts = array.cast(pa.string())
    data = data_of(texts)
    if data.size and data.max() >= _FIRST_BEYOND_ASCII:
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as exc:
            raise RowsNeededError from exc
    return texts


def _in_quotes(texts: Any) -> Any:
    return pc.binary_join_element_wise('"', texts, '"', "")


def _complete(column: JsonTexts) -> Any:
    texts, is_quoted = column
    return (_in_quotes(texts) if is_quoted else texts).fill_null("null")


def _floats(array: Any) -> Any:
    """Return numbers as orjson writes them, which has null for NaN and the infinities."""
    count = len(array)
    if not count:
        return array.cast(pa.string())
    text = orjson.dumps(array.fill_null(0.0).to_numpy(zero_copy_only=False), option=orjson.OPT_SERIALIZE_NUMPY)
    # each comma is at the end of a number, less the bracket and the commas before, which the data does not have
    commas = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(","))
    data = text.translate(None, b"[],")
    offsets = np.concatenate(([0], commas - np.arange(1, count), [len(data)])).astype(np.int32)
    texts: Any = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
    return pc.if_else(array.is_valid(), texts, None) if array.null_count else texts


def _times(array: Any) -> Any:
    """Return dates, times and moments; many are the same, and each is written once."""
    encoded = array.dictionary_encode()
    different = encoded.dictionary
    if not len(different):
        return array.cast(pa.string())
    kind = array.type
    if pa.types.is_date32(kind):
        _check_range(different.cast(pa.int32()), _FIRST_DAY, _LAST_DAY + 1)
        texts = different.cast(pa.string())
    elif pa.types.is_time(kind):
        micros = _micros(different, 0, _DAY_SECONDS)
        texts = _without_zeros(pa.array(micros, pa.time64("us")), micros)
    else:
        micros = _micros(different, _FIRST_DAY * _DAY_SECONDS, (_LAST_DAY + 1) * _DAY_SECONDS)
        texts = _without_zeros(pa.array(micros, pa.timestamp("us")), micros)
        texts = pc.binary_join_element_wise(pc.binary_replace_slice(texts, 10, 11, "T"), "Z", "")
    return texts.take(encoded.indices)


def _micros(array: Any, first: int, end: int) -> Any:
    """Return moments or times of day in microseconds, if all are between these seconds."""
    counts = array.cast(pa.int32() if array.type.bit_width == 32 else pa.int64()).cast(pa.int64())
    units = PER_SECOND[array.type.unit]
    _check_range(counts, first * units, end * units)
    numbers = counts.to_numpy()
    return numbers // (units // _MICROS) if units > _MICROS else numbers * (_MICROS // units)


def _check_range(counts: Any, first: int, end: int) -> None:
    found = pc.min_max(counts).as_py()
    if found["min"] < first or found["max"] >= end:
        raise RowsNeededError


def _without_zeros(array: Any, micros: Any) -> Any:
    """Return texts without fractions of a second that are 0."""
    texts = array.cast(pa.string())
    is_whole = micros % _MICROS == 0
    if not is_whole.any():
        return texts
    return pc.if_else(
        pa.array(is_whole), pc.binary_slice(texts.cast(pa.binary()), 0, -_FRACTION).cast(pa.string()), texts
    )


def _decimals(array: Any, name: str) -> JsonTexts:
    texts = array.cast(pa.string())
    # with an exponent where there are many zeros behind the point
    if pc.any(pc.match_substring(texts, "E")).as_py():
        return JsonTexts(_one_by_one(array, name))
    return JsonTexts(texts, True)


def _structs(array: Any, name: str, depth: int) -> Any:
    names = [field.name for field in array.type]
    columns = [
        json_texts(child, f"{name}.{field}", depth + 1) for field, child in zip(names, array.flatten(), strict=True)
    ]
    texts = objects_of(names, columns)
    return pc.if_else(array.is_valid(), texts, None) if array.null_count else texts


def _lists(array: Any, name: str, depth: int) -> Any:
    items = _complete(json_texts(array.flatten(), name, depth + 1))
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    lists: Any = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), items)
    texts = pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")
    return pc.if_else(array.is_valid(), texts, None) if array.null_count else texts


def _one_by_one(array: Any, name: str) -> Any:
    try:
        return pa.array([_json_of(value) for value in values_of(array, name)], pa.string())
    except (TypeError, RecordError) as exc:
        raise RowsNeededError from exc


def _json_of(value: Any) -> str | None:
    # within a list it is as deep as in its row
    return None if value is None else orjson.dumps([value], json_default, JSON_OPTIONS)[1:-1].decode()
