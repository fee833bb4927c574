"""The options of a COPY under their own names, checked before they become part of a statement."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypedDict

from beam_s3box.checks import check_whole
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.quoting import literal

MAX_MAXERROR: Final = 100_000
"""The maximum of COPY. Source: "Data load operations", MAXERROR."""

FORBIDDEN: Final = (
    "csv",
    "delimiter",
    "escape",
    "fillrecord",
    "fixedwidth",
    "ignoreblanklines",
    "null",
    "null_as",
    "quote",
    "readratio",
    "removequotes",
)
"""Options of text files, which COPY rejects with JSON. Source: "Data format parameters", JSON."""

_EPOCHS = ("epochsecs", "epochmillisecs")


class CopyKeywords(TypedDict, total=False):
    """The options that `copy_sql` takes besides its own arguments; see `CopyOptions`."""

    mapping: str
    timeformat: str | None
    dateformat: str | None
    truncatecolumns: bool
    acceptinvchars: bool | str
    blanksasnull: bool
    emptyasnull: bool
    trimblanks: bool
    roundec: bool
    maxerror: int | None
    compupdate: bool | Literal["preset"] | None
    statupdate: bool | None
    noload: bool


ANY_CASE: Final = CopyKeywords(mapping="auto ignorecase")
"""The default of jobs and commands: with `"auto"` COPY leaves columns of keys with capital letters empty."""


@dataclasses.dataclass(frozen=True)
class CopyOptions:
    """The options of a COPY.

    Attributes:
      mapping: how keys match columns: `"auto"` if they are identical, `"auto ignorecase"` in any case, `"noshred"` for
        the whole record into one SUPER column, or the URL of a jsonpaths file.
      timeformat, dateformat: the format of times and dates; None for Redshift's defaults, which don't read ISO 8601.
      truncatecolumns: truncate texts that are too long for their column, instead of failing.
      acceptinvchars: load invalid UTF-8, with `?` or the given character in its place.
      blanksasnull, emptyasnull: load texts of only spaces, or empty ones, as NULL.
      trimblanks: remove trailing spaces of texts.
      roundec: round numbers with more digits than their column, instead of truncating them.
      maxerror: fail at this many bad rows; None for COPY's default, the first.
      compupdate: choose encodings again; None leaves it to Redshift.
      statupdate: update the table's statistics; None leaves it to Redshift.
      noload: check the files, and load nothing.
    """

    mapping: str = "auto"
    timeformat: str | None = "auto"
    dateformat: str | None = "auto"
    truncatecolumns: bool = False
    acceptinvchars: bool | str = False
    blanksasnull: bool = False
    emptyasnull: bool = False
    trimblanks: bool = False
    roundec: bool = False
    maxerror: int | None = None
    compupdate: bool | Literal["preset"] | None = False
    statupdate: bool | None = False
    noload: bool = False

    def __post_init__(self) -> None:
        _check_mapping(self.mapping)
        _check_format("timeformat", self.timeformat)
        _check_format("dateformat", self.dateformat)
        for name in _FLAGS:
            _check_choice(name, getattr(self, name), (True, False))
        _check_replacement(self.acceptinvchars)
        _check_choice("compupdate", self.compupdate, (True, False, "preset", None))
        _check_choice("statupdate", self.statupdate, (True, False, None))
        if self.maxerror is not None:
            check_whole("maxerror", self.maxerror, 0, MAX_MAXERROR)

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> CopyOptions:
        """Return the options given by name.

        Raises:
          ConfigurationError: an option that is unknown, or that COPY rejects here; a value that can't work.
        """
        for name in keywords:
            if name not in _NAMES:
                raise ConfigurationError(_explain_unknown(name, keywords[name]))
        return cls(**keywords)

    def clauses(self) -> Iterator[str]:
        """Yield the clauses of the statement, without the format's, which has the mapping."""
        if self.timeformat is not None:
            yield f"TIMEFORMAT {literal(self.timeformat)}"
        if self.dateformat is not None:
            yield f"DATEFORMAT {literal(self.dateformat)}"
        for name in _FLAGS:
            if getattr(self, name):
                yield name.upper()
        if self.acceptinvchars:
            yield "ACCEPTINVCHARS" + (f" {literal(self.acceptinvchars)}" if self.acceptinvchars is not True else "")
        if self.maxerror is not None:
            yield f"MAXERROR {self.maxerror}"
        if self.compupdate is not None:
            yield f"COMPUPDATE {_SWITCH[self.compupdate]}"
        if self.statupdate is not None:
            yield f"STATUPDATE {_SWITCH[self.statupdate]}"


_NAMES = tuple(field.name for field in dataclasses.fields(CopyOptions))
_FLAGS = ("truncatecolumns", "blanksasnull", "emptyasnull", "trimblanks", "roundec", "noload")
_SWITCH: Final[Mapping[bool | str, str]] = {True: "ON", False: "OFF", "preset": "PRESET"}
_JSONPATHS = re.compile(r"s3://[^/\s]+/\S*[^/\s]")


def _check_mapping(mapping: object) -> None:
    if mapping in ("auto", "auto ignorecase", "noshred"):
        return
    if not isinstance(mapping, str) or not _JSONPATHS.fullmatch(mapping):
        raise ConfigurationError(
            f"mapping={mapping!r} must be 'auto', 'auto ignorecase', 'noshred' or the s3:// URL of a jsonpaths file"
        )


def _check_format(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name}={value!r} must be 'auto' or a format such as 'YYYY-MM-DD', or None")
    keyword = value.strip().lower()
    if keyword in ("auto", *_EPOCHS) and keyword != value:
        raise ConfigurationError(f"{name}={value!r} must be written {keyword!r}: COPY takes only lower case")
    if keyword in _EPOCHS and name == "dateformat":
        raise ConfigurationError(f"dateformat={value!r} is only for timeformat=: a date is not a number")


def _check_replacement(value: object) -> None:
    if isinstance(value, bool):
        return
    if not isinstance(value, str) or len(value) != 1 or not " " <= value <= "~":
        raise ConfigurationError(f"acceptinvchars={value!r} must be True, False or one printable ASCII character")


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
        raise ConfigurationError(f"{name}={value!r} must be one of {', '.join(map(repr, choices))}")


def _explain_unknown(name: str, value: object) -> str:
    plain = name.lower().replace(" ", "_")
    if plain in FORBIDDEN:
        return f"{name}={value!r} is for text files: COPY rejects it with JSON and Avro; leave it out"
    close = difflib.get_close_matches(plain.replace("_", ""), _NAMES, 1)
    return (
        f"{name}= is not an option here: {f'did you mean {close[0]}?' if close else 'known are ' + ', '.join(_NAMES)}"
    )
