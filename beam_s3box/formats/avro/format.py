"""Avro: container files whose blocks are compressed where the records are, and joined behind a header."""

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
UnknownFields = Literal["refuse", "drop"]

_KNOWN_SCHEMAS: Final = 4096
"""Schemas that a process keeps compiled."""


@dataclasses.dataclass(frozen=True)
class AvroFormat:
    """Avro container files; a record that does not fit its schema is refused before it is packed.

    Values are those that JSON has, as records are JSON objects: text for strings, enums, `bytes` and `fixed`
    (hexadecimal, as bytes in a record are written), ISO 8601 for dates and times, text or numbers for decimals, text
    for UUIDs; a number stands for itself in what Avro stores as one. Dates and times are cut to the unit of their type.
    A field that is missing has the schema's default, or null where that fits. A union takes the first type that fits;
    an integer that a float or double would round, another that fits, if there is one.

    Attributes:
      schema: of records: an object or JSON text, a mapping from patterns such as `"web/*"` to schemas, or a function of
        the stream that returns one. Records of a stream without schema are refused. None: to be found by the write.
      codec: of blocks: `"null"`, `"deflate"` or `"snappy"`, which needs the package cramjam.
      unknown_fields: `"refuse"` records with fields that the schema has not, or `"drop"` the fields.
      for_redshift: whether COPY shall load it: then logical types are written as text, which COPY converts (it knows
        none of them), and unions are null and one type. False keeps all that Avro has, and no manifest can list it.
        None: as the write has manifests or not.

    Raises:
      ConfigurationError: no schema of a record, one that no reader or COPY would take, or an unknown codec.
    """

    schema: AvroSchemas | SchemasOf | None = None
    codec: Codec = "deflate"
    unknown_fields: UnknownFields = "refuse"
    for_redshift: bool | None = None

    def __post_init__(self) -> None:
        check_codec(self.codec)
        if self.unknown_fields not in ("refuse", "drop"):
            raise ConfigurationError(f"unknown_fields={self.unknown_fields!r} must be 'refuse' or 'drop'")
        if self.schema is not None:
            schemas = schemas_of(self.schema)
            object.__setattr__(self, "schema", schemas)
            for text in schemas.texts:
                self._compiled(text, for_redshift=bool(self.for_redshift))

    @property
    def name(self) -> str:
        """Its name, as users write it."""
        return "avro"

    @property
    def extension(self) -> str:
        """Extension of the object's key."""
        return ".avro"

    @property
    def content_type(self) -> str:
        """MIME type of the object."""
        return "application/avro"

    @property
    def copy_clause(self) -> str | None:
        """What COPY needs to read it; None if logical types are kept."""
        return None if self.for_redshift is False else "FORMAT AS AVRO 'auto'"

    @property
    def overhead(self) -> Overhead:
        """What the format adds to the records of a shard: its header, and a sync marker behind each segment."""
        return Overhead(Size(len(self._shard.header) + MARKER_BYTES, 0, 0), Size(MARKER_BYTES, 0, 0))

    @property
    def fingerprint(self) -> str:
        """The sync marker, which follows from schema and codec."""
        return f"avro-{self._shard.marker.hex()}"

    @property
    def record_overhead(self) -> int:
        """Raw bytes that a record takes in a segment beside its row."""
        return 0

    def resolved_for(self, *, copy: bool) -> AvroFormat:
        """Return the format as a write with or without manifests needs it.

        Raises:
          ConfigurationError: COPY would not take the schema.
        """
        return self if self.for_redshift is not None else dataclasses.replace(self, for_redshift=copy)

    def of_stream(self, stream: Stream) -> AvroFormat:
        """Return the format of one stream's shards.

        Raises:
          RecordError: the stream has no schema.
          ConfigurationError: a function gave something else than a schema, or the format has none yet.
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
        """Return what turns a line of JSON of this stream into an Avro row, or raises RecordError.

        Raises:
          RecordError, ConfigurationError: see `of_stream`.
        """
        return self.of_stream(stream)._shard.encode

    def cut(self, lines: Sequence[bytes]) -> Segment:
        """Return the records, one Avro row each, as a segment: blocks with a sync marker between them."""
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
    """What one schema needs.

    Attributes:
      header: of a shard, the sync marker at its end.
      marker: the sync marker.
      checksum: of the header; goes with each segment, so that none is joined behind another header.
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
        raise ConfigurationError("schema: nested too deep, or a default of a type that holds itself") from exc
    encode = _encoder(write, exact=has_decimals(parsed), most=REDSHIFT_MAX_RECORD_BYTES if for_redshift else None)
    return _Compiled(header, header[-MARKER_BYTES:], zlib_ng.crc32(header), encode)


def _parse(schema: Any) -> Any:
    """Return the schema with its names in full."""
    try:
        parsed: Any = fastavro.parse_schema(schema)
    except Exception as exc:  # fastavro raises what it stumbles over: KeyError, TypeError, its own
        raise ConfigurationError(f"schema is not one of Avro: {type(exc).__name__}: {exc}") from exc
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
            raise RecordError("does not fit the schema: nested too deep", SCHEMA_MISMATCH) from exc
        if most is not None and len(row) > most:
            raise RecordError(f"{len(row)} bytes as Avro, and COPY takes {most}", TOO_LARGE)
        return bytes(row)

    return encode
