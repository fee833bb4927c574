# ruff: noqa: S608 - every name in these statements comes quoted from `quoting`
"""The statements around the COPYs of a load, which fill a temporary table: checks, and inserts into the target."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from beam_s3box.redshift.load.ledger import guard_of
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.sql.quoting import column_list, folded, identifier
from beam_s3box.redshift.sql.target import Merge, Target

LAST_COPY_COUNT: Final = "SELECT pg_last_copy_count()"
"""The number of rows that the session's last COPY loaded, in the transaction of the load."""


def stage_of(target: Target) -> str:
    """Return the name of the temporary table that COPY fills, which only the session sees."""
    return own_name("beam_s3box_stage", [target.table])


def own_name(name: str, taken: Iterable[str]) -> str:
    """Return a name of ours, with a number appended if a table or column of the user has the same name."""
    others = set(map(folded, taken))
    numbered = (f"{name}_{number}" for number in itertools.count(1))
    return next(one for one in itertools.chain([name], numbered) if one not in others)


def create_stage(target: Target, columns: LoadedColumns) -> str:
    """Return the statement that creates the temporary table: the columns to load, with their types.

    Nothing else is taken from the target: neither NOT NULL nor defaults, keys or identities.
    Source: "CREATE TABLE AS", usage notes.
    """
    names = ", ".join(_names(columns.names))
    return f"CREATE TEMP TABLE {identifier(stage_of(target))} AS\nSELECT {names} FROM {target.sql} WHERE 1 = 0"


def drop_stage(target: Target) -> str:
    """Return the statement that drops the temporary table, for connections that go back to a pool."""
    return f"DROP TABLE {identifier(stage_of(target))}"


def no_rows(target: Target) -> str:
    """Return a query without rows that has the columns of the table."""
    return f"SELECT * FROM {target.sql} LIMIT 0"


def copy_count_guard(least: int, most: int) -> str:
    """Return a query for the number of rows that the last COPY loaded, which fails if it is out of bounds."""
    count = "pg_last_copy_count()"
    return guard_of(f"{count} BETWEEN {least:d} AND {most:d}", count)


def count_bad_keys(target: Target, merge: Merge) -> str:
    """Return the query for two numbers: keys that are null, and keys that are in more than one record."""
    return (
        f"SELECT COALESCE(SUM(CASE WHEN {_null(merge.keys)} THEN 1 ELSE 0 END), 0), "
        f"COALESCE(SUM(CASE WHEN {_count(merge.keys)} > 1 THEN 1 ELSE 0 END), 0)\n{_grouped(target, merge.keys)}"
    )


def bad_keys_guard(target: Target, merge: Merge) -> str:
    """Return a query that fails if keys don't identify rows."""
    twice = "" if merge.order_by else f" OR {_count(merge.keys)} > 1"
    return f"{guard_of('COUNT(*) = 0')}\n{_grouped(target, merge.keys)}\nWHERE {_null(merge.keys)}{twice}"


def apply(target: Target, merge: Merge, columns: LoadedColumns) -> Iterator[str]:
    """Yield the statements that move the temporary table's rows into the target.

    Rows are deleted and inserted, never truncated: TRUNCATE commits the open transaction. Rows without a value for a
    column that Redshift generates are inserted without that column, the others with it.
    """
    if merge.mode == "truncate":
        yield f"DELETE FROM {target.sql}"
    elif merge.mode == "upsert":
        yield from _delete_older(target, merge)
    numbered = columns.generated if len(columns.generated) < len(columns.names) else ()
    for missing in _subsets(numbered):
        names = [name for name in columns.names if name not in missing]
        conditions = [f"{identifier(name)} IS {'' if name in missing else 'NOT '}NULL" for name in numbered]
        values = ", ".join(_value(name, columns) for name in names)
        rows = _rows(target, merge, columns, values, conditions)
        yield f"INSERT INTO {target.sql} {column_list(names)}\n{rows}"


def _delete_older(target: Target, merge: Merge) -> Iterator[str]:
    # the table is named without its schema here, as a correlation
    table, stage = identifier(target.table), identifier(stage_of(target))
    same = " AND ".join(f"{table}.{key} = {stage}.{key}" for key in _names(merge.keys))
    if merge.order_by is not None:
        theirs, ours = f"{table}.{identifier(merge.order_by)}", f"{stage}.{identifier(merge.order_by)}"
        # NULL is the oldest, as among the records of one load
        yield (
            f"DELETE FROM {stage} USING {target.sql}\n"
            f"WHERE {same} AND ({theirs} > {ours} OR ({theirs} IS NOT NULL AND {ours} IS NULL))"
        )
    yield f"DELETE FROM {target.sql} USING {stage}\nWHERE {same}"


def _rows(target: Target, merge: Merge, columns: LoadedColumns, values: str, conditions: Sequence[str]) -> str:
    """Return the query for the rows to insert: all, or the newest of each key."""
    stage = identifier(stage_of(target))
    if merge.order_by is None:
        return " WHERE ".join([f"SELECT {values} FROM {stage}", *filter(None, [" AND ".join(conditions)])])
    row = identifier(own_name("beam_s3box_row", columns.names))
    return (
        f"SELECT {values} FROM (\n"
        f"  SELECT {', '.join(_names(columns.names))}, ROW_NUMBER() OVER (\n"
        f"    PARTITION BY {', '.join(_names(merge.keys))} ORDER BY {identifier(merge.order_by)} DESC NULLS LAST\n"
        f"  ) AS {row} FROM {stage}\n"
        f") AS newest WHERE {' AND '.join([f'{row} = 1', *conditions])}"
    )


def _value(name: str, columns: LoadedColumns) -> str:
    """Return the value to insert into a column: its default instead of NULL, if it is NOT NULL."""
    default = columns.defaults.get(name)
    return identifier(name) if default is None else f"COALESCE({identifier(name)}, {default})"


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from itertools.combinations(names, size)


def _grouped(target: Target, keys: Sequence[str]) -> str:
    names = ", ".join(_names(keys))
    stage = identifier(stage_of(target))
    return f"FROM (SELECT {names}, COUNT(*) AS {_count(keys)} FROM {stage} GROUP BY {names}) AS grouped"


def _null(keys: Sequence[str]) -> str:
    return " OR ".join(f"{key} IS NULL" for key in _names(keys))


def _count(keys: Sequence[str]) -> str:
    return identifier(own_name("beam_s3box_count", keys))


def _names(columns: Sequence[str]) -> list[str]:
    return [identifier(column, "columns") for column in columns]
