# ruff: noqa: S608 - every name in these statements comes quoted from `quoting`
"""The statements around the COPYs of a load, which fill a temporary table: checks, and the way into the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from beam_s3box.redshift.ledger import guard_of
from beam_s3box.redshift.quoting import column_list, identifier
from beam_s3box.redshift.targets import Merge, Target

STAGE: Final = "beam_s3box_stage"
"""The temporary table that COPY fills: only its own session sees it."""

LAST_COPY_COUNT: Final = "SELECT pg_last_copy_count()"
"""How many rows the session's last COPY loaded."""

_ROW = '"beam_s3box_row"'


def create_stage(target: Target) -> str:
    """Return the statement that makes the temporary table: columns, widths and defaults of the target."""
    return f"CREATE TEMP TABLE {identifier(STAGE)} (LIKE {target.sql} INCLUDING DEFAULTS)"


def drop_stage() -> str:
    """Return the statement that removes the temporary table, for connections that live on in a pool."""
    return f"DROP TABLE {identifier(STAGE)}"


def no_rows(target: Target) -> str:
    """Return a query without rows, whose columns are the table's."""
    return f"SELECT * FROM {target.sql} LIMIT 0"


def copy_count_guard(least: int, most: int) -> str:
    """Return a query that fails unless the last COPY loaded so many rows."""
    return guard_of(f"pg_last_copy_count() BETWEEN {least:d} AND {most:d}")


def count_bad_keys(merge: Merge) -> str:
    """Return the query for two numbers: keys that are null, and keys that stand in the records more than once."""
    keys = _names(merge.keys)
    null = " OR ".join(f"{key} IS NULL" for key in keys)
    return (
        f"SELECT COALESCE(SUM(CASE WHEN {null} THEN 1 ELSE 0 END), 0), "
        f"COALESCE(SUM(CASE WHEN {_BAD_COUNT} > 1 THEN 1 ELSE 0 END), 0)\n"
        f"FROM (SELECT {', '.join(keys)}, COUNT(*) AS {_BAD_COUNT} FROM {identifier(STAGE)} "
        f"GROUP BY {', '.join(keys)}) AS grouped"
    )


def bad_keys_guard(merge: Merge) -> str:
    """Return a query that fails if keys can't name rows."""
    keys = _names(merge.keys)
    null = " OR ".join(f"{key} IS NULL" for key in keys)
    twice = "" if merge.order_by else f" OR {_BAD_COUNT} > 1"
    return (
        f"{guard_of('COUNT(*) = 0')}\n"
        f"FROM (SELECT {', '.join(keys)}, COUNT(*) AS {_BAD_COUNT} FROM {identifier(STAGE)} "
        f"GROUP BY {', '.join(keys)}) AS grouped\nWHERE {null}{twice}"
    )


def apply(target: Target, merge: Merge, columns: Sequence[str]) -> Iterator[str]:
    """Yield the statements that bring the temporary table's rows into the target.

    Rows are deleted and inserted, never truncated: TRUNCATE commits what is open.
    """
    if merge.mode == "truncate":
        yield f"DELETE FROM {target.sql}"
    elif merge.mode == "upsert":
        same = _same_keys(target, merge.keys)
        if merge.order_by is not None:
            order = identifier(merge.order_by)
            table = identifier(target.table)
            yield (
                f"DELETE FROM {identifier(STAGE)} USING {target.sql}\n"
                f"WHERE {same} AND {table}.{order} > {identifier(STAGE)}.{order}"
            )
        yield f"DELETE FROM {target.sql} USING {identifier(STAGE)}\nWHERE {same}"
    yield f"INSERT INTO {target.sql} {column_list(columns)}\n{_rows(merge, columns)}"


def _rows(merge: Merge, columns: Sequence[str]) -> str:
    names = ", ".join(_names(columns))
    if merge.order_by is None:
        return f"SELECT {names} FROM {identifier(STAGE)}"
    keys = ", ".join(_names(merge.keys))
    return (
        f"SELECT {names} FROM (\n"
        f"  SELECT {names}, ROW_NUMBER() OVER (\n"
        f"    PARTITION BY {keys} ORDER BY {identifier(merge.order_by)} DESC NULLS LAST\n"
        f"  ) AS {_ROW} FROM {identifier(STAGE)}\n"
        f") AS newest WHERE {_ROW} = 1"
    )


def _same_keys(target: Target, keys: Sequence[str]) -> str:
    # the table is named without its schema here, as a correlation
    table, stage = identifier(target.table), identifier(STAGE)
    return " AND ".join(f"{table}.{key} = {stage}.{key}" for key in _names(keys))


def _names(columns: Sequence[str]) -> list[str]:
    return [identifier(column, "columns") for column in columns]


_BAD_COUNT = '"beam_s3box_count"'
