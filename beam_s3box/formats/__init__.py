"""The formats a shard can have."""

from __future__ import annotations

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats.base import Format
from beam_s3box.formats.json_text import JSON_ARRAY, JSON_LINES, JsonText

FORMATS: dict[str, Format] = {format.name: format for format in (JSON_LINES, JSON_ARRAY)}
"""Formats by the name that users write."""

__all__ = ["FORMATS", "JSON_ARRAY", "JSON_LINES", "Format", "JsonText", "format_named"]


def format_named(format: str | Format) -> Format:
    """Return the format of that name, or the format itself.

    Raises:
      ConfigurationError: no such format.
    """
    if not isinstance(format, str):
        return format
    if format not in FORMATS:
        raise ConfigurationError(f"format={format!r} is not known; known are {', '.join(sorted(FORMATS))}")
    return FORMATS[format]
