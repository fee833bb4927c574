"""A parsed COPY: every word is known, none occurs twice, and none is forbidden by the format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from redshift_stand_in.copy_authorization import Authorization, Keys, read_authorization
from redshift_stand_in.errors import SYNTAX, RedshiftError, syntax_error
from redshift_stand_in.tokens import Reader, Token

Format = Literal["JSON", "AVRO"]
Compression = Literal["GZIP", "BZIP2", "ZSTD"]

_OTHER_FORMATS = ("CSV", "PARQUET", "ORC", "FIXEDWIDTH", "SHAPEFILE", "DELIMITER")
_NOT_WITH_JSON = (
    "CSV", "DELIMITER", "ESCAPE", "FILLRECORD", "FIXEDWIDTH", "IGNOREBLANKLINES", "NULL", "READRATIO", "REMOVEQUOTES",
)  # fmt: skip
_MAX_ERRORS = 100_000
_ENCODINGS = ("UTF8",)


@dataclasses.dataclass(frozen=True)
class CopyCommand:
    """A COPY from S3 that is well-formed.

    Attributes:
      table: the name, with its schema if that is given.
      columns: the list of columns, or None for all of the table.
      source: URL of the manifest, or of the files.
      authorization: the roles, or the keys.
      manifest: whether the source is a manifest.
      region: where the bucket is, or "" for the cluster's own.
      format: of the files.
      mapping: `auto`, `auto ignorecase`, `noshred` or the URL of a JSONPaths file.
      compression: of all files, or None.
      time_format: for timestamps, or None for the default.
      date_format: for dates, or None for the default.
      max_errors: number of errors that make the load fail; at least 1.
      replacement: replaces invalid characters with ACCEPTINVCHARS, or None.
      skipped_lines: IGNOREHEADER.
      flags: options without a value: TRUNCATECOLUMNS, NOLOAD …
    """

    table: list[Token]
    columns: list[str] | None
    source: str
    authorization: Authorization
    manifest: bool = False
    region: str = ""
    format: Format = "JSON"
    mapping: str = "auto"
    compression: Compression | None = None
    time_format: str | None = None
    date_format: str | None = None
    max_errors: int = 1
    replacement: str | None = None
    skipped_lines: int = 0
    flags: frozenset[str] = frozenset()


_FLAGS = (
    "ACCEPTANYDATE", "BLANKSASNULL", "EMPTYASNULL", "EXPLICIT_IDS", "IGNOREALLERRORS", "NOLOAD", "ROUNDEC",
    "TRIMBLANKS", "TRUNCATECOLUMNS", "ESCAPE", "FILLRECORD", "IGNOREBLANKLINES", "REMOVEQUOTES",
)  # fmt: skip


class _Options:
    """The words after the data source."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._seen: set[str] = set()
        self._flags: set[str] = set()
        self.authorization: Authorization | None = None
        self.fields: dict[str, object] = {}
        self._values: dict[str, Callable[[], None]] = {
            "MANIFEST": lambda: self._set("manifest", True),
            "GZIP": lambda: self._set_compression("GZIP"),
            "BZIP2": lambda: self._set_compression("BZIP2"),
            "ZSTD": lambda: self._set_compression("ZSTD"),
            "REGION": lambda: self._set("region", self._text()),
            "FORMAT": self._format,
            "JSON": self._json,
            "TIMEFORMAT": lambda: self._set("time_format", self._text()),
            "DATEFORMAT": lambda: self._set("date_format", self._text()),
            "MAXERROR": lambda: self._set("max_errors", max(1, self._number("MAXERROR", _MAX_ERRORS))),
            "IGNOREHEADER": lambda: self._set("skipped_lines", self._number("IGNOREHEADER")),
            "ACCEPTINVCHARS": self._replacement,
            "COMPUPDATE": lambda: self._switch("PRESET", "ON", "OFF", "TRUE", "FALSE"),
            "STATUPDATE": lambda: self._switch("ON", "OFF", "TRUE", "FALSE"),
            "COMPROWS": lambda: self._ignore(self._number("COMPROWS")),
            "READRATIO": lambda: self._ignore(self._number("READRATIO", 200)),
            "ENCODING": self._encoding,
            "NULL": lambda: self._ignore(self._text()),
            "DELIMITER": lambda: self._ignore(self._text()),
            "FIXEDWIDTH": lambda: self._ignore(self._text()),
        }

    def read(self) -> None:
        while (token := self._reader.peek) is not None:
            if self._authorized():
                continue
            word = self._reader.take().word
            if word not in self._values and word not in _FLAGS and word not in _OTHER_FORMATS:
                raise syntax_error(token.text)
            if word in self._seen:
                raise RedshiftError("conflicting or redundant options", SYNTAX)
            self._seen.add(word)
            if word in self._values:
                self._values[word]()
            elif word in _FLAGS:
                self._flags.add(word)
        self._check()

    def _authorized(self) -> bool:
        found = read_authorization(self._reader)
        if found is not None and self.authorization is not None:
            raise RedshiftError("conflicting or redundant options", SYNTAX)
        self.authorization = found or self.authorization
        return found is not None

    def _check(self) -> None:
        name = self.fields.get("format")
        forbidden = [option for option in _NOT_WITH_JSON if option in self._seen]
        if name is not None and forbidden:
            raise RedshiftError(f"{forbidden[0]} argument is not supported for {name} based COPY", SYNTAX)
        if name is None:
            raise RedshiftError("the stand-in loads FORMAT JSON and FORMAT AVRO only; Redshift has other formats too")
        if "ACCEPTANYDATE" in self._flags and "DATEFORMAT" not in self._seen:
            raise RedshiftError("ACCEPTANYDATE needs DATEFORMAT", SYNTAX)
        if "IGNOREALLERRORS" in self._flags and "MAXERROR" in self._seen:
            raise RedshiftError("MAXERROR and IGNOREALLERRORS can't be used together", SYNTAX)
        self._set("flags", frozenset(self._flags))

    def _set(self, field: str, value: object) -> None:
        self.fields[field] = value

    def _ignore(self, value: object) -> None:
        """Read a value that the stand-in does not use."""

    def _set_compression(self, name: str) -> None:
        if "compression" in self.fields:
            raise RedshiftError("conflicting or redundant options", SYNTAX)
        self._set("compression", name)

    def _text(self) -> str:
        self._reader.accept("AS")
        return self._reader.string()

    def _number(self, option: str, most: int | None = None) -> int:
        self._reader.accept("AS")
        token = self._reader.take()
        if token.kind != "number" or not token.text.isdigit():
            raise syntax_error(token.text)
        if most is not None and int(token.text) > most:
            raise RedshiftError(f"{option} must be between 0 and {most}", "22023")
        return int(token.text)

    def _switch(self, *words: str) -> None:
        token = self._reader.peek
        if token is not None and token.word in words:
            self._reader.take()

    def _encoding(self) -> None:
        self._reader.accept("AS")
        token = self._reader.take()
        name = token.value.upper() if token.kind == "string" else token.word
        if name not in _ENCODINGS:
            raise RedshiftError(f"the stand-in loads UTF8 only, not {name}")

    def _replacement(self) -> None:
        self._reader.accept("AS")
        token = self._reader.peek
        value = self._reader.string() if token is not None and token.kind == "string" else "?"
        if len(value) != 1 or not "\0" < value <= "\x7f":
            raise RedshiftError("ACCEPTINVCHARS takes one ASCII character that is not NULL", "22023")
        self._set("replacement", value)

    def _format(self) -> None:
        self._reader.accept("AS")
        token = self._reader.take()
        if token.word == "JSON":
            self._seen.add("JSON")
            self._json()
        elif token.word == "AVRO":
            self._set("format", "AVRO")
            self._mapping(("auto", "auto ignorecase"), "AVRO")
        elif token.word in _OTHER_FORMATS:
            raise RedshiftError(f"the stand-in loads FORMAT JSON and FORMAT AVRO only, not {token.word}")
        else:
            raise syntax_error(token.text)

    def _json(self) -> None:
        self._set("format", "JSON")
        self._mapping(("auto", "auto ignorecase", "noshred"), "JSON")

    def _mapping(self, words: tuple[str, ...], name: str) -> None:
        self._reader.accept("AS")
        token = self._reader.peek
        if token is None or token.kind != "string":
            return
        value = self._reader.string()
        if value not in words and not value.startswith("s3://"):
            raise RedshiftError(f"{name} argument {value!r} is not one of {', '.join(words)} or an S3 object", "22023")
        self._set("mapping", value)


def read_copy(tokens: list[Token]) -> CopyCommand:
    """Read a COPY statement; raises RedshiftError for anything that Redshift would reject."""
    reader = Reader(tokens)
    reader.expect("COPY")
    table = reader.qualified()
    columns = _columns(reader)
    reader.expect("FROM")
    source = reader.string()
    if not source.startswith("s3://"):
        raise RedshiftError(f"the stand-in copies from s3:// only, not from {source!r}")
    options = _Options(reader)
    options.read()
    if options.authorization is None:
        raise RedshiftError("COPY from S3 needs IAM_ROLE, CREDENTIALS, or ACCESS_KEY_ID and SECRET_ACCESS_KEY", SYNTAX)
    command = CopyCommand(table, columns, source, options.authorization)
    return dataclasses.replace(command, **options.fields)  # type: ignore[arg-type]


def _columns(reader: Reader) -> list[str] | None:
    if not reader.accept("("):
        return None
    names = [reader.take().name]
    while reader.accept(","):
        names.append(reader.take().name)
    reader.expect(")")
    return names


__all__ = ["Authorization", "CopyCommand", "Keys", "read_copy"]
