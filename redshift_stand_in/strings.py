"""Text into CHAR and VARCHAR: lengths in bytes, UTF-8, NUL; dg:copy-parameters-data-conversion."""

from __future__ import annotations

from redshift_stand_in.copy_options import CopyCommand
from redshift_stand_in.errors import RowError

_ESCAPED = range(0xDC80, 0xDD00)
"""Lone surrogates for single bytes that are invalid UTF-8."""


def read_string(text: str, column: str, size: int, is_char: bool, command: CopyCommand) -> str | None:
    """Return text as it is stored, or None for NULL; size 0 is no limit."""
    flags = command.flags
    if (not text and "EMPTYASNULL" in flags) or (text.isspace() and "BLANKSASNULL" in flags):
        return None
    text = _valid(_before_nul(text, column), column, is_char, command.replacement)
    if "TRIMBLANKS" in flags and not is_char:
        text = text.rstrip()
    encoded = text.encode()
    if not size or len(encoded) <= size:
        return text
    if "TRUNCATECOLUMNS" in flags:
        # a character that would be split is left out
        return encoded[:size].decode(errors="ignore")
    reason = "Char length exceeds DDL length" if is_char else "String length exceeds DDL length"
    raise RowError(1204, reason, column, text[:1024])


def _before_nul(text: str, column: str) -> str:
    position = text.find("\0")
    if position == 0:
        raise RowError(1208, "Invalid null byte - field longer than 1 byte", column)
    return text if position < 0 else text[:position]


def _valid(text: str, column: str, is_char: bool, replacement: str | None) -> str:
    if is_char and not text.isascii():
        bad = next(char for char in text if not char.isascii()).encode("utf-8", "surrogatepass").hex(" ")
        reason = f"Multibyte character not supported for CHAR (Hint: Try using VARCHAR). Invalid char: {bad}"
        raise RowError(1220, reason, column, _shown(text))
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    if replacement is None:
        raise RowError(1220, "String contains invalid or unsupported UTF8 codepoints.", column, _shown(text))
    return "".join(_replaced(char, replacement) for char in text)


def _replaced(char: str, replacement: str) -> str:
    """Return a replacement of equal length in bytes."""
    if not "\ud800" <= char <= "\udfff":
        return char
    return replacement * (1 if ord(char) in _ESCAPED else 3)


def _shown(text: str) -> str:
    return text.encode(errors="replace").decode()
