"""The format Avro: container files whose blocks are compressed with the records and joined after a header."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

import fastavro
import msgspec
from zlib_ng import zlib_ng

from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.formats.avro.blocks import MARKER_BYTES, blocks_of, check_codec, header_of
from beam_s3box.formats.avro.checks import as_text, check_fields, check_schema, check_unions_for_copy
from beam_s3box.formats.avro.rows import compile_rows
from beam_s3box.formats.avro.schemas import AvroSchemas, SchemaForAll, SchemasOf, schema_text, schemas_of
from beam_s3box.formats.avro.types import WriteValue
from beam_s3box.formats.avro.values import UnfitError, has_decimals
from beam_s3box.records.encoding import REDSHIFT_MAX_RECORD_BYTES, SCHEMA_MISMATCH, TOO_LARGE
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import Segment, Size
from beam_s3box.shards.packing import Overhead

Codec = Literal["null", "deflate", "snappy"]
UnknownFields = Literal["reject", "drop"]

_KNOWN_SCHEMAS: Final = 4096
"""Maximum number of compiled schemas in the cache of a process."""


@dataclasses.dataclass(frozen=True)
class AvroFormat:
    """Avro container files. A record that does not fit its schema is rejected before it is packed.

    Records are JSON objects, so values are JSON: text for strings, enums, `bytes` and `fixed` (hexadecimal, as bytes in
    a record are written), ISO 8601 for dates and times, text or numbers for decimals, text for UUIDs. A number is used
    unchanged for a type that Avro stores as a number. Dates and times are truncated to the unit of their type. A
    missing field gets the schema's default, or null if the type allows it. A value in a union gets the first type that
    fits; an integer that a float or double would round gets another type that fits, if there is one.

    Attributes:
      schema: the schema of the records: an object or JSON text, a mapping from patterns such as `"web/*"` to schemas,
        or a function from stream to schema. Records of a stream without schema are rejected. None: the write infers it.
      codec: the codec of blocks: `"null"`, `"deflate"` or `"snappy"`, which needs the package cramjam.
      unknown_fields: `"reject"` rejects records with fields that are not in the schema, `"drop"` drops the fields.
      for_redshift: whether COPY will load the files. Then logical types, which COPY does not support, are written as
        text that it converts, and unions may only be null and one type. False supports all of Avro, but no manifests.
        None: True if the write has manifests.

    Raises:
      ConfigurationError: not the schema of a record, a schema that readers or COPY would reject, or an unknown codec.
    """

    schema: AvroSchemas | SchemasOf | None = None
    codec: Codec = "deflate"
    unknown_fields: UnknownFields = "reject"
    for_redshift: bool | None = None

    def __post_init__(self) -> None:
        check_codec(self.codec)
        if self.unknown_fields not in ("reject", "drop"):
            raise ConfigurationError(f"unknown_fields={self.unknown_fields!r} must be 'reject' or 'drop'")
        if self.schema is not None:
            schemas = schemas_of(self.schema)
            object.__setattr__(self, "schema", schemas)
            for text in schemas.texts:
                self._compiled(text, for_redshift=bool(self.for_redshift))

    @property
    def name(self) -> str:
        """The name of the format, as users write it."""
        return "avro"

    @property
    def extension(self) -> str:
        """The extension of the object's key."""
        return ".avro"

    @property
    def content_type(self) -> str:
        """The MIME type of the object."""
        return "application/avro"

    @property
    def copy_clause(self) -> str | None:
        """The clause of COPY for this format; None if logical types are kept."""
        return None if self.for_redshift is False else "FORMAT AS AVRO 'auto'"

    @property
    def overhead(self) -> Overhead:
        """The size that the format adds to the records of a shard: the header, and a sync marker after each segment."""
        return Overhead(Size(len(self._shard.header) + MARKER_BYTES, 0, 0), Size(MARKER_BYTES, 0, 0))

    @property
    def fingerprint(self) -> str:
        """The sync marker, which is derived from schema and codec."""
        return f"avro-{self._shard.marker.hex()}"

    @property
    def record_overhead(self) -> int:
        """Raw bytes that a record takes in a segment in addition to its row."""
        return 0

    def resolved_for(self, *, copy: bool) -> AvroFormat:
        """Return the format for a write with (`copy`) or without manifests.

        Raises:
          ConfigurationError: COPY does not support the schema.
        """
        return self if self.for_redshift is not None else dataclasses.replace(self, for_redshift=copy)

    def of_stream(self, stream: Stream) -> AvroFormat:
        """Return the format of one stream's shards.

        Raises:
          RecordError: the stream has no schema.
          ConfigurationError: a function returned something other than a schema, or the format has none yet.
        """
        if isinstance(self.schema, SchemaForAll):
            return self
        if self.schema is None:
            raise ConfigurationError(NO_SCHEMA)
        text = schemas_of(self.schema)(stream)
        if text is None:
            raise RecordError(f"the stream {stream} has no schema", SCHEMA_MISMATCH)
        return dataclasses.replace(self, schema=SchemaForAll(text))

    def encoder(self, stream: Stream) -> Callable[[bytes], bytes]:
        """Return the function that encodes a line of JSON of this stream as an Avro row, or raises RecordError.

        Raises:
          RecordError, ConfigurationError: see `of_stream`.
        """
        return self.of_stream(stream)._shard.encode

    @property
    def between(self) -> None:
        """Rows are not joined: blocks count them."""

    def cut(self, lines: Sequence[bytes], records: int | None = None) -> Segment:
        """Return the records, given as Avro rows, as a segment: blocks with a sync marker between them."""
        shard = self._shard
        data = shard.marker.join(blocks_of(lines, self.codec))
        return Segment(data, shard.checksum, sum(map(len, lines)), len(lines))

    def join(self, segments: Sequence[Segment]) -> bytes:
        """Return the segments as one container file.

        Raises:
          ConfigurationError: a segment was cut with another schema or codec.
        """
        shard = self._shard
        pieces = [shard.header]
        for segment in segments:
            if segment.crc32 != shard.checksum:
                raise ConfigurationError(
                    "schema: records were encoded with another schema or codec than their shard has: give each stream "
                    "one schema, from the beginning of a run to its end"
                )
            pieces += (segment.data, shard.marker)
        return b"".join(pieces)

    @property
    def _shard(self) -> _Compiled:
        if not isinstance(self.schema, SchemaForAll):
            raise ConfigurationError(NO_SCHEMA)
        return self._compiled(self.schema.text, for_redshift=self.for_redshift is not False)

    def _compiled(self, text: str, *, for_redshift: bool) -> _Compiled:
        return _compile(text, self.codec, self.unknown_fields == "drop", for_redshift)


NO_SCHEMA: Final = (
    "format='avro' needs a schema here: give AvroFormat(schema), whose schema avro_schema_of(records) infers from a "
    "sample, or AvroFormat({'domain/*': schema, ...}) for streams that differ"
)


class _Compiled(NamedTuple):
    """A compiled schema.

    Attributes:
      header: the header of a shard, which ends with the sync marker.
      marker: the sync marker.
      checksum: the checksum of the header; each segment has it, so that none is joined after another header.
      encode: returns the row of a line.
    """

    header: bytes
    marker: bytes
    checksum: int
    encode: Callable[[bytes], bytes]


@functools.lru_cache(_KNOWN_SCHEMAS)
def _compile(text: str, codec: str, drop_unknown: bool, for_redshift: bool) -> _Compiled:
    given = json.loads(text)
    parsed = _parse(given)
    check_fields(given)
    check_schema(parsed)
    written = text
    if for_redshift:
        rewritten = as_text(parsed)
        check_schema(rewritten)
        check_unions_for_copy(rewritten)
        if rewritten != parsed:
            written = schema_text(rewritten)
    header = header_of(written, codec)
    try:
        write = compile_rows(parsed, text=for_redshift, drop_unknown=drop_unknown)
    except UnfitError as exc:
        raise ConfigurationError(f"schema: {exc}") from exc
    except RecursionError as exc:
        raise ConfigurationError("schema: nested too deeply, or the default of a recursive type") from exc
    encode = _encoder(write, exact=has_decimals(parsed), most=REDSHIFT_MAX_RECORD_BYTES if for_redshift else None)
    return _Compiled(header, header[-MARKER_BYTES:], zlib_ng.crc32(header), encode)


def _parse(schema: Any) -> Any:
    """Return the schema with full names."""
    try:
        parsed: Any = fastavro.parse_schema(schema)
    except Exception as exc:  # fastavro raises KeyError, TypeError and its own errors
        raise ConfigurationError(f"schema is not a valid Avro schema: {type(exc).__name__}: {exc}") from exc
    return {name: part for name, part in parsed.items() if not name.startswith("__")}


def _encoder(write: WriteValue, *, exact: bool, most: int | None) -> Callable[[bytes], bytes]:
    parse = msgspec.json.Decoder(float_hook=Decimal).decode if exact else msgspec.json.Decoder().decode

    def encode(line: bytes) -> bytes:
        row = bytearray()
        try:
            write(parse(line), row)
        except (UnfitError, msgspec.MsgspecError) as exc:
            raise RecordError(f"does not fit the schema: {exc}", SCHEMA_MISMATCH) from exc
        except RecursionError as exc:
            raise RecordError("does not fit the schema: nested too deeply", SCHEMA_MISMATCH) from exc
        if most is not None and len(row) > most:
            raise RecordError(f"{len(row)} bytes as Avro, and COPY accepts {most}", TOO_LARGE)
        return bytes(row)

    return encode
