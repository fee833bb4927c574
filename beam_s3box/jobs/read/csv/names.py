"""Names of a CSV file's columns."""

from __future__ import annotations

import collections

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.csv.dialect import NONE, CsvDialect


def column_names(first_row: list[str], path: str, dialect: CsvDialect) -> list[str]:
    """Return the names of the columns.

    Args:
      first_row: of the file.
      path: of the file.
      dialect: what the user said.

    Raises:
      ConfigurationError: two columns have one name, or one has none, and they are not to be renamed.
    """
    if dialect.header == NONE:
        return [f"column_{number}" for number in range(1, len(first_row) + 1)]
    names = first_row if dialect.given_names is None else dialect.given_names
    _check_text(names, path)
    nameless = [number for number, name in enumerate(names, 1) if not name.strip()]
    twice = [name for name, times in collections.Counter(names).items() if times > 1 and name.strip()]
    if not nameless and not twice:
        return names
    if dialect.duplicate_names == "rename":
        return _renamed(names)
    faults = [f"more than one column is named {name!r}" for name in twice]
    faults += [f"column {number} has no name" for number in nameless]
    raise ConfigurationError(
        f"input={path!r}: {', and '.join(faults)}: name each column once, give all names by --csv_header, or let them "
        "be renamed by --csv_duplicate_names rename"
    )


def _check_text(names: list[str], path: str) -> None:
    try:
        "".join(names).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ConfigurationError(
            f"input={path!r} is not valid CSV in UTF-8: the names of its columns have other bytes; see --csv_encoding"
        ) from exc


def _renamed(names: list[str]) -> list[str]:
    """Return names of which none is empty or there twice: `column_3` for the third, `a_2` for the second `a`."""
    wanted = [name if name.strip() else f"column_{number}" for number, name in enumerate(names, 1)]
    taken: set[str] = set()
    renamed = []
    for name in wanted:
        unique, number = name, 2
        while unique in taken or (unique != name and unique in wanted):
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique)
        renamed.append(unique)
    return renamed
