"""Patterns of file names, the same for local files and for keys on S3; and local files that match."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError

_WILDCARD: Final = re.compile(r"[*?\[]")
_TOKEN: Final = re.compile(r"\*\*/|\*\*|\*|\?|\[(?P<not>!?)(?P<set>\]?[^\]/]*)\]|.", re.DOTALL)
_WORDS: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_HIDDEN: Final = ("_", ".")


class Glob(NamedTuple):
    """A pattern: `*` and `?` stay within a folder, `**` does not, and `[...]` is one of some characters.

    Attributes:
      pattern: a path or a key.
      base: its folder above all wildcards, with the slash at its end; empty for the current folder.
      is_open: whether it has wildcards.
    """

    pattern: str
    base: str
    is_open: bool

    @classmethod
    def of(cls, pattern: str) -> Glob:
        """Return the pattern that a text is."""
        wildcard = _WILDCARD.search(pattern)
        literal = pattern if wildcard is None else pattern[: wildcard.start()]
        return cls(pattern, literal[: literal.rfind("/") + 1], wildcard is not None)

    @property
    def prefix(self) -> str:
        """What all that match begin with."""
        return _WILDCARD.split(self.pattern, maxsplit=1)[0]

    def matcher(self) -> re.Pattern[str]:
        """Return what matches whole names.

        Raises:
          ConfigurationError: a range in brackets ends before it begins.
        """
        try:
            return re.compile("".join(map(_translated, _TOKEN.finditer(self.pattern))), re.DOTALL)
        except re.error as exc:
            raise ConfigurationError(
                f"input={self.pattern!r} has a range in [...] that ends before it begins: write it as [a-z]"
            ) from exc

    def hides(self, name: str) -> bool:
        """Return whether a name that matches is none of data: those of Hadoop and Spark, hidden files, and folders.

        What the pattern names without wildcards is not hidden.
        Below the base a name that begins with `_` or `.` is hidden unless the pattern has one that begins so, or it is
        a column in the path (`_day=1`).
        """
        if name == self.pattern:
            return False
        rest, parts = self.pattern[len(self.base) :], name[len(self.base) :].split("/")
        asked = {part[:1] for part in rest.split("/")}
        hidden = tuple(mark for mark in _HIDDEN if mark not in asked)
        return (
            not parts[-1]
            or parts[-1].endswith((".crc", "_$folder$"))
            or any(part.startswith(hidden) and "=" not in part for part in parts)
        )


def local_matches(pattern: str) -> Iterator[str]:
    """Yield the paths that match a pattern, hidden files too, and no folders; a path of a file matches itself.

    Links to folders are followed where the pattern goes through them by name or by `*`, not by `**`: below one there
    may be what was found already.
    """
    if os.path.lexists(pattern) and not os.path.isdir(pattern):
        yield pattern
        return
    asked = Glob.of(pattern)
    if not asked.is_open:
        return
    found = Glob.of(re.sub("/+", "/", pattern))  # as file systems have it, and keys on S3 do not
    matches = found.matcher().fullmatch
    paths = _walk(found.base or ".") if "**" in pattern else glob.iglob(found.pattern, include_hidden=True)
    for path in paths:
        name = path.removeprefix("./") if not found.base else path
        if matches(name) and not os.path.isdir(path):
            yield asked.base + name.removeprefix(found.base)


def _walk(folder: str) -> Iterator[str]:
    for above, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(above, name)


def _translated(token: re.Match[str]) -> str:
    text = token[0]
    if text in _WORDS:
        return _WORDS[text]
    if token["set"] is not None:
        characters = token["set"].replace("\\", r"\\").replace("^", r"\^").replace("[", r"\[").replace("]", r"\]")
        return f"[{'^/' if token['not'] else ''}{characters}]" if characters else re.escape(text)
    return re.escape(text)


def no_match(pattern: str, *, is_folder: bool) -> ConfigurationError:
    """Return the error for a pattern that matches no file."""
    if is_folder:
        folder = pattern.rstrip("/")
        return ConfigurationError(f"input={pattern!r} is a folder: did you mean '{folder}/*', or '{folder}/**'?")
    return ConfigurationError(f"input={pattern!r} matches no file: correct the path, or quote a pattern in the shell")
