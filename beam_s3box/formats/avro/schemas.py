"""Schemas, given as objects, as JSON text or in a file, for all streams or by stream."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.patterns import check_pattern, find_by_pattern
from beam_s3box.records.streams import Stream

AvroSchema: TypeAlias = Mapping[str, Any] | str
"""A schema of records, as an object or as JSON text."""

AvroSchemas: TypeAlias = AvroSchema | Mapping[str, AvroSchema] | Callable[[Stream], AvroSchema | None]
"""One schema for all streams, a mapping from patterns such as `"web/*"`, or a function of the stream."""


@dataclasses.dataclass(frozen=True)
class SchemaForAll:
    """The same schema for every stream."""

    text: str

    def __call__(self, stream: Stream) -> str | None:
        """Return the schema of this stream."""
        return self.text

    @property
    def texts(self) -> tuple[str, ...]:
        """All schemas."""
        return (self.text,)


@dataclasses.dataclass(frozen=True)
class SchemasByPattern:
    """Schemas by the first pattern that matches `domain/namespace`; exact names take precedence over wildcards."""

    by_pattern: Mapping[str, str]

    def __call__(self, stream: Stream) -> str | None:
        """Return the schema of this stream, None if no pattern matches."""
        return find_by_pattern(self.by_pattern, stream)

    @property
    def texts(self) -> tuple[str, ...]:
        """All schemas."""
        return tuple(self.by_pattern.values())


@dataclasses.dataclass(frozen=True)
class SchemasByFunction:
    """Schemas by a function of the user, which returns None for a stream whose records are rejected."""

    function: Callable[[Stream], AvroSchema | None]

    def __call__(self, stream: Stream) -> str | None:
        """Return the schema of this stream."""
        schema = self.function(stream)
        return None if schema is None else schema_text(schema, f"schema({stream!r})")

    @property
    def texts(self) -> tuple[str, ...]:
        """The schemas that are known in advance: none."""
        return ()


SchemasOf: TypeAlias = SchemaForAll | SchemasByPattern | SchemasByFunction


def schemas_of(schema: AvroSchemas | SchemasOf) -> SchemasOf:
    """Return the schemas for a user's `schema` argument.

    Raises:
      ConfigurationError: not a schema, a mapping to schemas, or a function.
    """
    if isinstance(schema, SchemasOf):
        return schema
    if isinstance(schema, Mapping) and "type" not in schema and schema:
        for pattern in schema:
            check_pattern(pattern, "schema, as it has no 'type',")
        return SchemasByPattern({name: schema_text(each, f"schema[{name!r}]") for name, each in schema.items()})
    if isinstance(schema, Mapping | str):
        return SchemaForAll(schema_text(schema))
    if callable(schema):
        return SchemasByFunction(schema)
    raise ConfigurationError(
        f"schema={schema!r} must be a schema of records, as an object or JSON text, a mapping such as "
        "{'web/*': {...}}, or a function of the stream"
    )


def schema_text(schema: Any, parameter: str = "schema") -> str:
    """Return a schema as JSON text without white space, in the order of its names.

    Raises:
      ConfigurationError: not JSON, or not of a record.
    """
    try:
        value = json.loads(schema) if isinstance(schema, str) else schema
        if not isinstance(value, Mapping) or value.get("type") != "record":
            raise ConfigurationError(
                f"{parameter} must be the schema of a record, as {{'type': 'record', 'name': ..., 'fields': [...]}}"
            )
        own = {name: part for name, part in value.items() if not name.startswith("__")}  # fastavro adds these
        return json.dumps(own, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ConfigurationError:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{parameter} is not JSON: {exc}") from exc


def read_avro_schemas(path: str | os.PathLike[str], parameter: str = "avro_schema") -> SchemasOf:
    """Return the schemas in a file: one schema as JSON, or an object of schemas by pattern.

    Raises:
      ConfigurationError: the file can't be read, or has other content.
    """
    shown = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except OSError as exc:
        raise ConfigurationError(f"{parameter}={shown!r} can't be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{parameter}={shown!r} is not JSON: {exc}") from exc
    if not isinstance(value, dict) or not value:
        raise ConfigurationError(f"{parameter}={shown!r} must contain a schema, or an object of schemas by pattern")
    try:
        return schemas_of(value)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{parameter}={shown!r}: {exc}") from exc
