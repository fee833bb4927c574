"""A reader in another session sees the table before a load or after it, and no state in between."""

from __future__ import annotations

from typing import Any

import pytest

from beam_s3box.errors import CopyError, KeyValuesError
from tests.redshift.load.conftest import Warehouse, clicks
from tests.redshift.load.hooks import hooked

OLD = [(1, "old"), (2, "old")]
NEW = {
    "append": [(1, "old"), (2, "new2"), (2, "old"), (3, "new3")],
    "truncate": [(2, "new2"), (3, "new3")],
    "upsert": [(1, "old"), (2, "new2"), (3, "new3")],
}


def fill(warehouse: Warehouse) -> None:
    warehouse.execute("INSERT INTO clicks VALUES (1, 'old'), (2, 'old')")


def keys_of(mode: str) -> str | None:
    return "id" if mode == "upsert" else None


@pytest.mark.parametrize("mode", ["append", "truncate", "upsert"])
def test_a_reader_sees_all_or_nothing_at_each_statement(warehouse: Warehouse, mode: Any) -> None:
    fill(warehouse)
    seen: list[tuple[str, list[tuple[Any, ...]]]] = []

    def read(statement: str) -> None:
        seen.append((statement.split()[0], warehouse.rows("SELECT id, name FROM clicks ORDER BY id, name")))

    loader = warehouse.loader(hooked(warehouse.connection, after=read))
    loader.load(warehouse.manifest(clicks(2, 3, name="new")), "clicks", mode, keys_of(mode))
    assert [verb for verb, _ in seen][-1] == "COMMIT"
    assert {"INSERT", "COPY", "DROP"} <= {verb for verb, _ in seen}
    assert all(rows == OLD for _, rows in seen[:-1])
    assert seen[-1][1] == NEW[mode]


def test_a_batch_of_the_data_api_is_one_transaction(warehouse: Warehouse) -> None:
    fill(warehouse)
    loader = warehouse.loader(warehouse.data_api())
    loader.load(warehouse.manifest(clicks(2, 3, name="new")), "clicks", "truncate")
    assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id") == NEW["truncate"]
    begins = [seen for seen in warehouse.redshift.seen if seen.verb == "DELETE"]
    (session,) = {seen.session for seen in begins}
    verbs = [seen.verb for seen in warehouse.redshift.seen if seen.session == session]
    assert (verbs[0], verbs[-1], verbs.count("COMMIT")) == ("BEGIN", "COMMIT", 1)


@pytest.mark.parametrize("mode", ["truncate", "upsert"])
def test_a_load_that_fails_leaves_the_old_rows(warehouse: Warehouse, mode: Any) -> None:
    fill(warehouse)
    with pytest.raises(CopyError):
        warehouse.loader().load(
            warehouse.manifest(clicks(3, name="longer than twenty bytes")), "clicks", mode, keys_of(mode)
        )
    if mode == "upsert":
        with pytest.raises(KeyValuesError, match="0 are null, 1 are not unique"):
            warehouse.loader().load(warehouse.manifest(clicks(3, 3)), "clicks", mode, "id")
    assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id") == OLD
    assert warehouse.rows("SELECT COUNT(*) FROM beam_s3box_loads") == [(0,)]
