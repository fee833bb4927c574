"""Names of columns, each of which becomes the key of one value."""

from __future__ import annotations

import collections
from collections.abc import Iterable

from beam_s3box.errors import ConfigurationError


def check_names(names: Iterable[str], path: str, inside: str = "") -> None:
    """Raise ConfigurationError if two columns, or two fields within one, have one name.

    Args:
      names: of the columns or fields.
      path: of the file.
      inside: what stands before the names of fields, as `column.`.
    """
    twice = [name for name, number in collections.Counter(names).items() if number > 1]
    if twice:
        named = ", ".join(repr(inside + name) for name in twice)
        raise ConfigurationError(
            f"input={path!r} has more than one column of the name {named}: an object holds one; rename all but one"
        )
