"""What a user says about CSV files."""

from __future__ import annotations

import codecs
import csv
import dataclasses
from typing import Any, Final

from beam_s3box.cli.options.csv import AUTO, DUPLICATE_NAMES, FIRST, TYPES
from beam_s3box.errors import ConfigurationError

NONE: Final = "none"

_NAMED_DELIMITERS: Final = {"tab": "\t", "\\t": "\t"}


@dataclasses.dataclass(frozen=True)
class CsvDialect:
    """How CSV files are written.

    Attributes:
      delimiter: one character, `tab`, or `auto`: by the file's name and first rows.
      quote: one character, or `none` where quotes are characters as any other.
      escape: the character that takes the meaning from a quote or delimiter behind it; empty for none.
      encoding: of the text.
      header: `first` for names in the first row, `none` for columns `column_1`, `column_2`, ..., or names with commas.
      comment: the character that begins lines which are left out; `none`; `auto`: first lines that begin with `#` are
        left out if they have fewer values than the line that follows.
      duplicate_names: whether columns of one name, or without one, are an error, or renamed.
      types: whether values stay text, or columns of numbers and of true and false become such.
    """

    delimiter: str = AUTO
    quote: str = '"'
    escape: str = ""
    encoding: str = "utf-8"
    header: str = FIRST
    comment: str = AUTO
    duplicate_names: str = "error"
    types: str = "text"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delimiter", _NAMED_DELIMITERS.get(self.delimiter, self.delimiter))
        _check_character("delimiter", self.delimiter, "'tab' or 'auto'", AUTO)
        _check_character("quote", self.quote, "'none'", NONE)
        _check_character("comment", self.comment, "'auto' or 'none'", AUTO, NONE)
        if self.escape:
            _check_character("escape", self.escape, "empty")
        for name, choices in (("duplicate_names", DUPLICATE_NAMES), ("types", TYPES)):
            if getattr(self, name) not in choices:
                raise ConfigurationError(f"csv_{name}={getattr(self, name)!r} must be one of {', '.join(choices)}")
        try:
            is_text = codecs.lookup(self.encoding)._is_text_encoding
        except LookupError:
            is_text = False
        if not is_text:
            raise ConfigurationError(
                f"csv_encoding={self.encoding!r} is no encoding of text, as utf-8, utf-16 or cp1252 are"
            )
        given = [one for one in (self.delimiter, self.quote, self.escape) if len(one) == 1]
        if len(set(given)) < len(given):
            raise ConfigurationError("csv_delimiter, csv_quote and csv_escape must be different characters")

    @property
    def is_utf8(self) -> bool:
        """Whether the text is in UTF-8."""
        return codecs.lookup(self.encoding).name == "utf-8"

    @property
    def comment_character(self) -> str:
        """The character that begins lines which are left out; empty where the user named none."""
        return "" if self.comment in (AUTO, NONE) else self.comment

    @property
    def has_header(self) -> bool:
        """Whether the first row has the names of the columns."""
        return self.header == FIRST

    @property
    def given_names(self) -> list[str] | None:
        """The names of the columns, where the user gave them."""
        return None if self.header in (FIRST, NONE) else next(csv.reader([self.header]), [])

    def format(self, delimiter: str) -> dict[str, Any]:
        """Return the arguments of `csv.reader`."""
        quoting = csv.QUOTE_NONE if self.quote == NONE else csv.QUOTE_MINIMAL
        quotechar = None if self.quote == NONE else self.quote
        return {"delimiter": delimiter, "quotechar": quotechar, "escapechar": self.escape or None, "quoting": quoting}


def _check_character(name: str, value: str, words: str, *known: str) -> None:
    if value not in known and (len(value) != 1 or value in "\r\n"):
        raise ConfigurationError(f"csv_{name}={value!r} must be one character, or {words}")
