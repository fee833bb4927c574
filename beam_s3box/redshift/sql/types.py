"""Redshift's types, parsed from any of their spellings, so that a statement contains no other text as a type."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.long_values import MAX_TEXT_BYTES

MAX_VARCHAR_BYTES: Final = MAX_TEXT_BYTES
"""The longest VARCHAR, in bytes of UTF-8. Source: "Character types"."""

MAX_DIGITS: Final = 38
"""The longest DECIMAL. Source: "Numeric types"."""

_MAX_SCALE = 37
_MAX_CHAR_BYTES = 4_096
_MAX_VARBYTE_BYTES = 16_777_216

_ALIASES = {
    "BIGINT": "BIGINT INT8",
    "BOOLEAN": "BOOLEAN BOOL",
    "CHAR": "CHAR CHARACTER NCHAR",
    "DATE": "DATE",
    "DECIMAL": "DECIMAL NUMERIC",
    "DOUBLE PRECISION": "DOUBLE_PRECISION FLOAT FLOAT8",
    "INTEGER": "INTEGER INT INT4",
    "REAL": "REAL FLOAT4",
    "SMALLINT": "SMALLINT INT2",
    "SUPER": "SUPER",
    "TIME": "TIME TIME_WITHOUT_TIME_ZONE",
    "TIMESTAMP": "TIMESTAMP TIMESTAMP_WITHOUT_TIME_ZONE",
    "TIMESTAMPTZ": "TIMESTAMPTZ TIMESTAMP_WITH_TIME_ZONE",
    "TIMETZ": "TIMETZ TIME_WITH_TIME_ZONE",
    "VARBYTE": "VARBYTE VARBINARY BINARY_VARYING",
    "VARCHAR": "VARCHAR CHARACTER_VARYING NVARCHAR TEXT",
}
_NAMES = {alias.replace("_", " "): name for name, aliases in _ALIASES.items() for alias in aliases.split()}
_LENGTHS = {"CHAR": (1, _MAX_CHAR_BYTES), "VARCHAR": (256, MAX_VARCHAR_BYTES), "VARBYTE": (64_000, _MAX_VARBYTE_BYTES)}
"""Bytes of a type without a length, and at most."""

_DEFAULT_DECIMAL = (18, 0)
_TYPE = re.compile(r"([A-Z][A-Z0-9 ]*?) ?(?:\( ?(MAX|\d{1,9}) ?(?:, ?(\d{1,9}) ?)?\))?", re.ASCII)

_TEXT_BYTES = {
    "BIGINT": 20,
    "BOOLEAN": 5,
    "DATE": 10,
    "DOUBLE PRECISION": 32,
    "INTEGER": 11,
    "REAL": 32,
    "SMALLINT": 6,
    "TIMESTAMP": 32,
    "TIMESTAMPTZ": 32,
}
"""Bytes of a value as text: COPY loads any scalar into a VARCHAR."""

_DIGITS = {"SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
_EXACT_DIGITS = {"SMALLINT": 4, "INTEGER": 9, "BIGINT": 18, "DOUBLE PRECISION": 15, "REAL": 6}
"""Every whole number of this many digits fits."""

_WIDER = {
    "BIGINT": ("INTEGER", "SMALLINT"),
    "INTEGER": ("SMALLINT",),
    "DOUBLE PRECISION": ("REAL", "INTEGER", "SMALLINT"),
    "REAL": ("SMALLINT",),
    "TIMESTAMP": ("DATE",),
}


class SqlType(NamedTuple):
    """A type of Redshift.

    Attributes:
      name: as Redshift's documentation writes it, in upper case.
      sizes: bytes of a text; precision and scale of a DECIMAL.
    """

    name: str
    sizes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.sizes))})" if self.sizes else self.name

    def holds(self, other: SqlType) -> bool:
        """Return whether a column of this type holds every value of another type without loss."""
        if self == other or self.name == "SUPER":
            return True
        if self.name == "VARCHAR":
            return 0 < _text_bytes(other) <= self.sizes[0]
        if self.name == other.name:
            return _is_larger(self, other)
        if other.name == "DECIMAL":
            return other.sizes[1] == 0 and other.sizes[0] <= _EXACT_DIGITS.get(self.name, 0)
        if self.name == "DECIMAL":
            return other.name in _DIGITS and _DIGITS[other.name] <= self.sizes[0] - self.sizes[1]
        return other.name in _WIDER.get(self.name, ())


def parse_type(text: str, parameter: str = "type") -> SqlType:
    """Parse a type: `character varying(20)` is `VARCHAR(20)`, `text` is `VARCHAR(256)`.

    Raises:
      ConfigurationError: not a type of Redshift, or an invalid size.
    """
    found = _TYPE.fullmatch(" ".join(text.upper().split())) if isinstance(text, str) else None
    name = _NAMES.get(found[1]) if found else None
    if found is None or name is None:
        raise ConfigurationError(
            f"{parameter}={text!r} is not a type of Redshift: use one of {', '.join(sorted(_ALIASES))}"
        )
    sizes = _sizes(name, found[2], found[3])
    if sizes is None or (found[1] == "TEXT" and found[2]):
        raise ConfigurationError(
            f"{parameter}={text!r} has an invalid size for {name}: VARCHAR takes 1 to {MAX_VARCHAR_BYTES} bytes, "
            f"CHAR to {_MAX_CHAR_BYTES}, DECIMAL to {MAX_DIGITS} digits with {_MAX_SCALE} after the point, most "
            "others none"
        )
    return SqlType(name, sizes)


def _sizes(name: str, first: str | None, second: str | None) -> tuple[int, ...] | None:
    """Return the sizes of a type, None if they are invalid."""
    if name == "DECIMAL" and first != "MAX":
        digits, scale = (int(first), int(second or 0)) if first else _DEFAULT_DECIMAL
        return (digits, scale) if 1 <= digits <= MAX_DIGITS and scale <= min(digits, _MAX_SCALE) else None
    if name in _LENGTHS and second is None:
        default, most = _LENGTHS[name]
        length = default if first is None else most if first == "MAX" else int(first)
        return (length,) if 1 <= length <= most else None
    return () if first is None else None


def _is_larger(one: SqlType, other: SqlType) -> bool:
    if one.name != "DECIMAL":
        return one.sizes >= other.sizes
    (digits, scale), (other_digits, other_scale) = one.sizes, other.sizes
    return scale >= other_scale and digits - scale >= other_digits - other_scale


def _text_bytes(type: SqlType) -> int:
    """Return the bytes that any value of a type takes as text, 0 if that is unknown."""
    if type.name == "DECIMAL":
        return type.sizes[0] + 3  # a sign, a point, and a zero before it
    if type.name in ("VARCHAR", "CHAR"):
        return type.sizes[0]
    return _TEXT_BYTES.get(type.name, 0)
