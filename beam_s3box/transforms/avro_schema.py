"""Derives an Avro schema from the element type of a PCollection, when the pipeline is built."""

from __future__ import annotations

import datetime
import decimal
import typing
import uuid
from typing import Any, Final

import numpy as np
from apache_beam.typehints import typehints
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.errors import ConfigurationError

_TIMESTAMP: Final = {"type": "long", "logicalType": "timestamp-micros"}
_TYPES: Final[dict[Any, Any]] = {
    bool: "boolean",
    np.bool_: "boolean",
    **dict.fromkeys((np.int8, np.int16, np.int32, np.uint8, np.uint16), "int"),
    **dict.fromkeys((int, np.int64, np.uint32), "long"),
    np.float32: "float",
    **dict.fromkeys((float, np.float64), "double"),
    str: "string",
    bytes: "bytes",
    datetime.datetime: _TIMESTAMP,
    Timestamp: _TIMESTAMP,
    datetime.date: {"type": "int", "logicalType": "date"},
    datetime.time: {"type": "long", "logicalType": "time-micros"},
    uuid.UUID: {"type": "string", "logicalType": "uuid"},
    decimal.Decimal: "string",  # as text it is exact, whatever its precision
}


def avro_schema_of_elements(element_type: Any, *, keyed: bool) -> dict[str, Any]:
    """Return the Avro schema of elements that are Beam rows, NamedTuples or dataclasses.

    Args:
      element_type: the element type of a PCollection.
      keyed: whether elements are `((domain, namespace), record)`.

    Raises:
      ConfigurationError: the type of the elements has no fields, or the type of a field is unknown.
    """
    if keyed and isinstance(element_type, typehints.TupleConstraint) and len(element_type.tuple_types) > 1:
        element_type = element_type.tuple_types[1]
    row = _row_type(element_type)
    if row is None:
        raise ConfigurationError(
            f"format='avro' takes its schema from the type of the elements, which is {element_type}: give "
            "AvroFormat(schema), or elements with a schema (beam.Row, NamedTuple, dataclass)"
        )
    return _record(row, "Record")


def _record(row: RowTypeConstraint, name: str) -> dict[str, Any]:
    fields = []
    # Beam treats quoted types as Any, and all are quoted with `from __future__ import annotations`
    hints = typing.get_type_hints(row.user_type) if isinstance(row.user_type, type) else {}
    for field, kind in row._fields:
        found = _type(hints.get(field, kind), f"{name}_{field}")
        is_optional = isinstance(found, list)
        fields.append({"name": field, "type": found, **({"default": None} if is_optional else {})})
    return {"type": "record", "name": name, "fields": fields}


def _type(kind: Any, name: str) -> Any:
    kind = convert_to_beam_type(kind)
    if typehints.is_nullable(kind):
        return ["null", _type(typehints.get_concrete_type_from_nullable(kind), name)]
    if isinstance(kind, type) and kind in _TYPES:
        return _TYPES[kind]
    if isinstance(kind, typehints.DictConstraint) and kind.key_type is str:
        return {"type": "map", "values": _type(kind.value_type, f"{name}_value")}
    if isinstance(kind, typehints.SequenceTypeConstraint):
        return {"type": "array", "items": _type(kind.inner_type, f"{name}_item")}
    row = _row_type(kind)
    if row is not None:
        return _record(row, name)
    raise ConfigurationError(
        f"format='avro': the type {kind} of {name.removeprefix('Record_')!r} has no Avro type here: give "
        "AvroFormat(schema)"
    )


def _row_type(kind: Any) -> RowTypeConstraint | None:
    found = kind if isinstance(kind, RowTypeConstraint) else RowTypeConstraint.from_user_type(kind)
    return found if isinstance(found, RowTypeConstraint) else None
