"""With any failure, and any number of concurrent loads, every row is in the table exactly once."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from beam_s3box.errors import TransientLoadError
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.stores.retries import Retry
from tests.redshift.load.conftest import Warehouse, clicks, together
from tests.redshift.load.hooks import hooked

ROOT = Path(__file__).resolve().parents[3]
ONE_ATTEMPT = Retry(1, 0.0, 0.0)
LONGEST = 40
ROWS = {
    "append": [(1, "old"), (1, "x1"), (2, "x2")],
    "truncate": [(1, "x1"), (2, "x2")],
    "upsert": [(1, "x1"), (2, "x2")],
}


def cut_each(warehouse: Warehouse, connection: Any, mode: Any, when: str) -> list[str]:
    """Cut at the first statement of a session, then at the second, …, until no session is as long; return the number."""
    manifest, rows = warehouse.manifest(clicks(1, 2)), ROWS[mode]
    where: list[str] = []

    def load(loader: RedshiftLoader) -> None:
        loader.load(manifest, "clicks", mode, "id" if mode == "upsert" else None)

    for number in range(1, LONGEST):
        warehouse.redshift.reset()
        warehouse.execute("CREATE TABLE clicks (id INTEGER, name VARCHAR(20))", "INSERT INTO clicks VALUES (1, 'old')")
        warehouse.redshift.clear()
        (warehouse.redshift.cut_before if when == "before" else warehouse.redshift.cut_after)(number)
        with contextlib.suppress(TransientLoadError):
            load(warehouse.loader(connection, retry=ONE_ATTEMPT))
        if warehouse.redshift.waiting:
            return where
        cut = next(seen for seen in reversed(warehouse.redshift.seen) if seen.number == number)
        where.append(cut.sql.split()[0].upper())
        load(warehouse.loader(connection))
        assert warehouse.rows("SELECT COUNT(*) FROM beam_s3box_loads") == [(1,)]
        assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id, name") == rows
    raise AssertionError("the cut was reached every time")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("mode", ["append", "truncate", "upsert"])
def test_a_connection_cut_at_each_statement_in_turn(warehouse: Warehouse, mode: str, when: str) -> None:
    where = cut_each(warehouse, None, mode, when)
    assert {"BEGIN", "LOCK", "CREATE", "SELECT", "COPY", "INSERT", "DROP", "COMMIT"} <= set(where)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_session_of_the_data_api_cut_at_each_statement_in_turn(warehouse: Warehouse, when: str) -> None:
    where = cut_each(warehouse, warehouse.data_api(), "append", when)
    assert {"LOCK", "CREATE", "SELECT", "COPY", "INSERT", "DROP", "COMMIT"} <= set(where)


@pytest.mark.parametrize("driver", ["redshift_connector", "psycopg", "data-api"])
def test_a_commit_whose_answer_is_lost_is_a_load(warehouse: Warehouse, driver: str) -> None:
    connections = {
        "redshift_connector": lambda: warehouse.connection,
        "psycopg": lambda: functools.partial(psycopg.connect, warehouse.redshift.dsn),
        "data-api": warehouse.data_api,
    }
    loader = warehouse.loader(connections[driver]())
    loader.load(warehouse.manifest(clicks(1)), "clicks")
    warehouse.redshift.cut_after_commit()
    manifest = warehouse.manifest(clicks(2))
    result = loader.load(manifest, "clicks")
    assert not warehouse.redshift.waiting
    # over the Data API the attempt itself reads the ledger
    attempts = 1 if driver == "data-api" else 2
    assert (result.outcome, result.loaded, result.records, result.attempts) == ("loaded", (manifest.url,), 1, attempts)
    assert warehouse.ids() == [1, 2]


CHILD = """
import os, signal, sys
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.client.connections import RedshiftConnection
from tests.redshift.load.hooks import hooked
when, verb, url, role, text, port = sys.argv[1:]
def kill(statement):
    if statement.startswith(verb):
        os.kill(os.getpid(), signal.SIGKILL)
connection = RedshiftConnection("127.0.0.1", "dev", "awsuser", port=int(port), ssl=False)
factory = hooked(connection, **{when: kill})
RedshiftLoader(factory, iam_role=role, fetch={url: text.encode()}.__getitem__).load(url, "clicks")
"""


@pytest.mark.parametrize(("when", "verb"), [("after", "COPY"), ("before", "COMMIT"), ("after", "COMMIT")])
def test_a_loader_that_is_killed(warehouse: Warehouse, when: str, verb: str) -> None:
    warehouse.loader().load(warehouse.manifest(clicks(1)), "clicks")
    manifest = warehouse.manifest(clicks(2))
    arguments = [when, verb, manifest.url, warehouse.role, warehouse.store.get(manifest.key).decode()]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments, str(warehouse.redshift.port)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDSHIFT_PASSWORD": warehouse.redshift.password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    expected = "already-loaded" if (when, verb) == ("after", "COMMIT") else "loaded"
    assert warehouse.loader().load(manifest, "clicks").outcome == expected
    assert warehouse.ids() == [1, 2]


def test_two_loaders_at_once_load_once(warehouse: Warehouse) -> None:
    """Both create the ledger at the same time."""
    manifest = warehouse.manifest(clicks(1, 2))
    results = together(*[functools.partial(warehouse.loader().load, manifest, "clicks") for _ in range(3)])
    assert sorted(result.outcome for result in results) == ["already-loaded", "already-loaded", "loaded"]
    assert warehouse.ids() == [1, 2]


def test_a_loader_that_waits_sees_what_it_waited_for(warehouse: Warehouse) -> None:
    """The second one is at the lock while the first loads: its snapshot must begin after the first one's commit."""
    manifest = warehouse.manifest(clicks(1))
    warehouse.loader().load(warehouse.manifest(clicks(0)), "clicks")
    late: list[Any] = []

    def second(statement: str) -> None:
        if statement.startswith("COPY") and not late:
            late.append(None)
            late[0] = Waiting(lambda: warehouse.loader().load(manifest, "clicks"), warehouse)

    first = warehouse.loader(hooked(warehouse.connection, after=second)).load(manifest, "clicks")
    assert first.outcome == "loaded"
    assert late[0].result().outcome == "already-loaded"
    assert warehouse.ids() == [0, 1]


def test_over_both_ways_at_once_a_manifest_is_loaded_once(warehouse: Warehouse) -> None:
    manifest = warehouse.manifest(clicks(1, 2))
    loaders = [warehouse.loader(), warehouse.loader(warehouse.data_api()), warehouse.loader(warehouse.data_api())]
    loaders[0].load(warehouse.manifest(clicks(0)), "clicks")
    results = together(*[functools.partial(loader.load, manifest, "clicks") for loader in loaders])
    # two loads that send the same batch to the Data API are one to it
    outcomes = {result.outcome for result in results}
    assert "loaded" in outcomes
    assert outcomes <= {"loaded", "already-loaded"}
    assert warehouse.ids() == [0, 1, 2]


def test_a_batch_that_comes_behind_another_load_changes_nothing(warehouse: Warehouse) -> None:
    """The other load commits after the ledger was read, and before the batch begins."""
    warehouse.loader().load(warehouse.manifest(clicks(0)), "clicks")
    manifest = warehouse.manifest(clicks(1))
    api = warehouse.data_api()
    client = api.connect()._client
    send = client.batch_execute_statement
    others: list[Any] = []

    def late(**request: Any) -> Any:
        if not others:
            others.append(warehouse.loader().load(manifest, "clicks"))
        return send(**request)

    client.batch_execute_statement = late
    result = warehouse.loader(api).load(manifest, "clicks")
    assert (others[0].outcome, result.skipped) == ("loaded", (manifest.url,))
    assert warehouse.ids() == [0, 1]


def test_many_manifests_at_once_are_all_loaded(warehouse: Warehouse) -> None:
    manifests = [warehouse.manifest(clicks(number)) for number in range(5)]
    works = [
        functools.partial(warehouse.loader().load, manifest, "clicks", "upsert", "id") for manifest in manifests * 2
    ]
    outcomes = sorted(result.outcome for result in together(*works))
    assert outcomes == ["already-loaded"] * 5 + ["loaded"] * 5
    assert warehouse.ids() == [0, 1, 2, 3, 4]


def test_a_conflict_with_another_transaction_is_tried_again(warehouse: Warehouse) -> None:
    warehouse.execute("INSERT INTO clicks VALUES (1, 'old')")
    warehouse.loader().load(warehouse.manifest(clicks(0)), "clicks")
    numbers = itertools.count()

    def conflict(statement: str) -> None:
        if statement.startswith("COPY") and next(numbers) == 0:
            warehouse.execute("UPDATE clicks SET name = 'other' WHERE id = 1")

    loader = warehouse.loader(hooked(warehouse.connection, after=conflict))
    result = loader.load(warehouse.manifest(clicks(1)), "clicks", "upsert", "id")
    assert (result.outcome, result.attempts) == ("loaded", 2)
    assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id") == [(0, "x0"), (1, "x1")]


class Waiting:
    """A load in another thread, which is waiting for the ledger's lock."""

    def __init__(self, work: Callable[[], Any], warehouse: Warehouse) -> None:
        self._result: list[Any] = []
        self._thread = threading.Thread(target=lambda: self._result.append(work()))
        locks = sum("LOCK" in text for text in warehouse.redshift.statements)
        self._thread.start()
        while sum("LOCK" in text for text in warehouse.redshift.statements) == locks:
            time.sleep(0.01)

    def result(self) -> Any:
        self._thread.join()
        return self._result[0]
