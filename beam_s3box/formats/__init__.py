"""The formats a shard can have."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from beam_s3box.checks import wrong_type
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats.base import Encoder, Format, SchemaFormat, encoders_of, format_of, resolved_for
from beam_s3box.formats.json_text import JSON_ARRAY, JSON_LINES, JsonText
from beam_s3box.system.lazy import lazy_names

if TYPE_CHECKING:
    from beam_s3box.formats.avro.format import AvroFormat
    from beam_s3box.formats.avro.inference import avro_schema_of
    from beam_s3box.formats.avro.schemas import read_avro_schemas

FORMATS: dict[str, Format] = {format.name: format for format in (JSON_LINES, JSON_ARRAY)}
"""Formats that need no arguments, by name."""

AVRO = "avro"
"""The name of the format that needs a schema."""

FORMAT_NAMES = (*FORMATS, AVRO)
"""The names of all formats."""

_AVRO_HOMES = {"AvroFormat": "avro.format", "avro_schema_of": "avro.inference", "read_avro_schemas": "avro.schemas"}
"""Imported when first used, as most writes do not need fastavro."""

__all__ = [
    "AVRO",
    "FORMATS",
    "FORMAT_NAMES",
    "JSON_ARRAY",
    "JSON_LINES",
    "AvroFormat",
    "Encoder",
    "Format",
    "JsonText",
    "SchemaFormat",
    "avro_schema_of",
    "encoders_of",
    "format_named",
    "format_of",
    "read_avro_schemas",
    "resolved_for",
]


def format_named(format: str | Format, compression_level: int | None = None, *, finds_schema: bool = False) -> Format:
    """Return the format with this name, or the format itself.

    Args:
      format: a name or a format.
      compression_level: of JSON, from 1 (fastest) to 9 (slowest); None for the format's own.
      finds_schema: whether the caller finds the schema of `"avro"`, which is not in the name.

    Raises:
      ConfigurationError: no such format, one that needs a schema, or no format at all; a level that is none, or of
        another format.
    """
    if not isinstance(format, str):
        return _with_level(_check_format(format), compression_level)
    if format == AVRO:
        return _with_level(_avro(finds_schema), compression_level)
    if format not in FORMATS:
        raise ConfigurationError(f"format={format!r} is not known; known are {', '.join(sorted(FORMAT_NAMES))}")
    return _with_level(FORMATS[format], compression_level)


def _with_level(format: Format, level: int | None) -> Format:
    if level is None:
        return format
    if not isinstance(format, JsonText):
        raise ConfigurationError(
            f"compression_level={level!r} and format={format.name!r} are mutually exclusive: only JSON has levels; "
            "leave it out, or choose the codec of Avro's blocks, as AvroFormat(schema, codec='null')"
        )
    return dataclasses.replace(format, compression_level=level)


def _check_format(format: Format) -> Format:
    if isinstance(format, type) or not hasattr(format, "copy_clause"):
        raise wrong_type("format", format, "a format", "'json-lines', 'json-array', 'avro' or AvroFormat(schema)")
    return format


def _avro(finds_schema: bool) -> Format:
    from beam_s3box.formats.avro import format as avro

    if not finds_schema:
        raise ConfigurationError(avro.NO_SCHEMA)
    return avro.AvroFormat()


__getattr__ = lazy_names(__name__, _AVRO_HOMES)
