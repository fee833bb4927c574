"""Types of columns: their names in Redshift and in the server."""

from __future__ import annotations

from redshift_stand_in.errors import RedshiftError, syntax_error
from redshift_stand_in.tokens import Reader

_PLAIN = {
    "SMALLINT": "smallint", "INT2": "smallint", "INTEGER": "integer", "INT": "integer", "INT4": "integer",
    "BIGINT": "bigint", "INT8": "bigint", "REAL": "real", "FLOAT4": "real", "FLOAT8": "double precision",
    "FLOAT": "double precision", "BOOLEAN": "boolean", "BOOL": "boolean", "DATE": "date",
    "TIMESTAMPTZ": "timestamp with time zone", "TIMETZ": "time with time zone", "SUPER": "super",
}  # fmt: skip
_VARCHAR = ("VARCHAR", "NVARCHAR")
_CHAR = ("CHAR", "CHARACTER", "NCHAR")
_VARBYTE = ("VARBYTE", "VARBINARY")
_MAX_VARCHAR = 65_535
_MAX_CHAR = 4_096
_DEFAULT_VARCHAR = 256
_MAX_VARBYTE = 16_777_216
_MAX_PRECISION = 38
_MAX_SCALE = 37
_OF_POSTGRES = (
    "JSON", "JSONB", "UUID", "BYTEA", "SERIAL", "BIGSERIAL", "SMALLSERIAL", "MONEY", "XML", "INET", "CIDR", "MACADDR",
    "TSVECTOR", "TSQUERY", "HSTORE", "BIT", "VARBIT", "POINT", "INT4RANGE", "TSTZRANGE", "CITEXT",
)  # fmt: skip


def read_type(reader: Reader, column: str) -> str:
    """Read the type of a column and return the server's; raises RedshiftError if Redshift has no such type.

    dg:c_Supported_data_types, dg:r_Character_types, dg:r_Numeric_types201.
    """
    token = reader.take()
    word = token.word
    if word in _PLAIN:
        found = _PLAIN[word]
    elif word in _VARCHAR or (word in _CHAR and reader.accept("VARYING")):
        found = f"varchar({_length(reader, _DEFAULT_VARCHAR, _MAX_VARCHAR, 'varchar')})"
    elif word in _CHAR:
        found = f"char({_length(reader, 1, _MAX_CHAR, 'char')})"
    elif word == "TEXT":
        found = f"varchar({_DEFAULT_VARCHAR})"
    elif word == "BPCHAR":
        found = f"char({_DEFAULT_VARCHAR})"
    elif word in ("DECIMAL", "NUMERIC"):
        found = _decimal(reader)
    elif word == "DOUBLE":
        reader.expect("PRECISION")
        found = "double precision"
    elif word in ("TIMESTAMP", "TIME"):
        found = f"{word.lower()} {_zone(reader)} time zone"
    elif word in _VARBYTE:
        _length(reader, 64_000, _MAX_VARBYTE, "varbyte")
        found = "bytea"
    elif word in _OF_POSTGRES:
        raise RedshiftError(f'Column "{column}" has unsupported type "{token.text.lower()}".')
    elif token.kind in ("word", "quoted"):
        raise RedshiftError(f'type "{token.name}" does not exist', "42704")
    else:
        raise syntax_error(token.text)
    if reader.accept("["):
        raise RedshiftError(f'Column "{column}" has unsupported type "{token.text.lower()}[]".')
    return found


def _zone(reader: Reader) -> str:
    if reader.accept("WITH", "TIME", "ZONE"):
        return "with"
    reader.accept("WITHOUT", "TIME", "ZONE")
    return "without"


def _length(reader: Reader, default: int, most: int, name: str) -> int:
    if not reader.accept("("):
        return default
    length = most if name == "varchar" and reader.accept("MAX") else _integer(reader)
    reader.expect(")")
    if not 1 <= length <= most:
        raise RedshiftError(f"length for type {name} cannot exceed {most}", "22023")
    return length


def _decimal(reader: Reader) -> str:
    precision, scale = 18, 0
    if reader.accept("("):
        precision, scale = _integer(reader), 0
        if reader.accept(","):
            scale = _integer(reader)
        reader.expect(")")
    if not 1 <= precision <= _MAX_PRECISION:
        raise RedshiftError(f"DECIMAL precision {precision} must be between 1 and {_MAX_PRECISION}", "22023")
    if scale > min(precision, _MAX_SCALE):
        raise RedshiftError(f"DECIMAL scale {scale} must be between 0 and precision {precision}", "22023")
    return f"numeric({precision},{scale})"


def _integer(reader: Reader) -> int:
    token = reader.take()
    if not token.text.isdigit():
        raise syntax_error(token.text)
    return int(token.text)
