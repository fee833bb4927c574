"""Options that say what a shard looks like: its format and how large it grows."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import AVRO, FORMAT_NAMES, Format, format_named
from beam_s3box.formats.deflate import LEVEL
from beam_s3box.shards.limits import DEFAULT_OBJECT_BYTES, Limits, StreamLimits, limits_from_json
from beam_s3box.sizes import MiB


def add_shard_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options; whichever limit is met first ends a shard."""
    parser.add_argument("--format", choices=FORMAT_NAMES, default="json-lines", help="of a shard (default: json-lines)")
    parser.add_argument(
        "--avro_schema",
        metavar="FILE",
        help="of the records of --format=avro, as JSON: one schema, or an object of schemas by stream: "
        '{"domain/*": {"type": "record", ...}}; a record that does not fit is a bad record. --manifest_count=0 keeps '
        "logical types; with manifests they are written as text, because COPY knows none of them",
    )
    parser.add_argument(
        "--avro_codec", choices=("null", "deflate", "snappy"), help="of the blocks of --format=avro (default: deflate)"
    )
    parser.add_argument(
        "--compression_level",
        metavar="LEVEL",
        type=int,
        help=f"of JSON, from 1 (fastest) to 9 (slowest) (default: {LEVEL})",
    )
    parser.add_argument(
        "--max_object_bytes",
        metavar="SIZE",
        help=f"bytes of the object on S3, compressed (default: {DEFAULT_OBJECT_BYTES // MiB}MiB)",
    )
    parser.add_argument(
        "--max_raw_bytes", metavar="SIZE", help="bytes of the records before compression (default: no limit)"
    )
    parser.add_argument("--max_records", metavar="N", type=int, help="records of a shard (default: no limit)")
    parser.add_argument(
        "--limits",
        metavar="FILE.json",
        help='limits for some streams: {"domain/*": {"max_object_bytes": "10MB", "max_records": 1000}}; '
        "exact names take precedence, then the first pattern that matches, '*' last; what an entry leaves out, and "
        "streams without an entry, are as the options above say",
    )


SHARDS: Final = Section("Shards: their format, and when one is full (SIZE: 100000, 10MB, 64MiB)", add_shard_arguments)


def format_of(given: argparse.Namespace) -> Format:
    """Return the format of a shard.

    Raises:
      ConfigurationError: Avro without a schema or with a bad one, or options of Avro with another format.
    """
    if given.format != AVRO:
        for name in ("avro_schema", "avro_codec"):
            if getattr(given, name) is not None:
                raise ConfigurationError(
                    f"--{name} and --format={given.format} are mutually exclusive: give --format=avro"
                )
        return format_named(given.format, given.compression_level)
    if given.avro_schema is None:
        raise ConfigurationError("--format=avro needs a schema: write one to a file and give --avro_schema=FILE")
    from beam_s3box.formats import AvroFormat, read_avro_schemas  # most runs need no fastavro

    schema = given.avro_schema
    format = AvroFormat(
        schema if isinstance(schema, Mapping) else read_avro_schemas(schema), codec=given.avro_codec or "deflate"
    )
    return format_named(format, given.compression_level)


def limits_of(
    given: argparse.Namespace, max_seconds: float | None = StreamLimits.max_seconds, lanes: int = 1
) -> Limits:
    """Return the limits of a shard, one for all streams or by pattern.

    Args:
      given: the options.
      max_seconds: age of a shard where the file of limits does not say another one.
      lanes: keys that a stream is spread over where the file of limits does not say another number.

    Raises:
      ConfigurationError: a size that is none or out of range, or a file that can't be read or holds anything else.
    """
    object_bytes = DEFAULT_OBJECT_BYTES if given.max_object_bytes is None else given.max_object_bytes
    base = StreamLimits(object_bytes, given.max_raw_bytes, given.max_records, max_seconds, lanes)
    return base if given.limits is None else _limits_of_file(given.limits, base)


def _limits_of_file(file: str | Mapping[str, Any], base: StreamLimits) -> Mapping[str, StreamLimits]:
    entries, where = (file, "limits") if isinstance(file, Mapping) else (_read_object(file), file)
    limits = {pattern: _limits_of_entry(entry, base, f"{where}: {pattern!r}") for pattern, entry in entries.items()}
    rest = limits.pop("*", base)
    # the last pattern, so that it counts where no other does
    return {**limits, "*": rest}


def _limits_of_entry(entry: Any, base: StreamLimits, parameter: str) -> StreamLimits:
    if isinstance(entry, dict):
        entry = {**dataclasses.asdict(base), **entry}
    try:
        return limits_from_json(entry, parameter)
    except ConfigurationError as exc:
        raise ConfigurationError(str(exc) if parameter in str(exc) else f"{parameter}: {exc}") from exc


def _read_object(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    except OSError as exc:
        raise ConfigurationError(f"limits={path!r} can't be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(f"limits={path!r} is not JSON: {exc}") from exc
    if not isinstance(values, dict):
        raise ConfigurationError(f'limits={path!r} must hold an object, as {{"web/*": {{"max_object_bytes": "10MB"}}}}')
    return values
