"""Texts from outside as people can read them: whatever a terminal or a page would obey is escaped."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text as one line that says what it holds.

    Control characters, line breaks, marks that change a text's direction, other invisible characters and lone
    surrogates become escapes such as `\n`, `\x1b` and `\u202e`. A text that is printable already stays as it is.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
