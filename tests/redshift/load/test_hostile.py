"""Names and values that try to break out of a statement, and a search for secrets in all output."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import logging
import traceback
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from beam_s3box.errors import CopyError, LoadError, TransientLoadError
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.stores import Credentials
from beam_s3box.stores.retries import Retry
from tests.redshift.load.conftest import Warehouse, clicks

NAMES = [
    "a'; DROP TABLE clicks; --",
    'a"; DROP TABLE clicks; --',
    "a\\'; DROP TABLE clicks; --",
    'a") FROM clicks; DROP TABLE clicks; --',
    "select",
    "%s %(x)s :x $1 ?",
    "naïve ☃",
    "/* a",
]


@pytest.fixture(params=["redshift_connector", "psycopg", "data-api"])
def loader(request: pytest.FixtureRequest, warehouse: Warehouse) -> RedshiftLoader:
    if request.param == "psycopg":
        return warehouse.loader(functools.partial(psycopg.connect, warehouse.redshift.dsn))
    return warehouse.loader(warehouse.data_api() if request.param == "data-api" else None)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_break_out_do_not(warehouse: Warehouse, loader: RedshiftLoader, name: str) -> None:
    quoted = '"' + name.lower().replace('"', '""') + '"'
    warehouse.execute("INSERT INTO clicks VALUES (7, 'stays')")
    warehouse.execute(f"CREATE TABLE public.{quoted} ({quoted} INTEGER, name VARCHAR(20))")
    records = [{name.lower(): number, "name": "x"} for number in (1, 2)]
    manifest = _at_hostile_key(warehouse, records, name)
    for mode, keys in (("append", None), ("upsert", [name])):
        result = loader.load(manifest, (name,), mode, keys)  # type: ignore[arg-type]
        assert result.table == f"public.{name.lower()}"
    assert warehouse.rows(f"SELECT {quoted} FROM {quoted} ORDER BY 1") == [(1,), (2,)]
    assert warehouse.rows("SELECT table_name, manifest_url FROM beam_s3box_loads") == [(name.lower(), manifest)]
    assert warehouse.ids() == [7]


def test_values_that_break_out_do_not(warehouse: Warehouse, loader: RedshiftLoader) -> None:
    warehouse.execute("CREATE TABLE texts (id INTEGER, name VARCHAR(200))")
    loader.load(warehouse.manifest([{"id": number, "name": name} for number, name in enumerate(NAMES)]), "texts")
    loader.load(
        warehouse.manifest([{"id": number, "name": name + "!"} for number, name in enumerate(NAMES)]),
        "texts",
        "upsert",
        "id",
    )
    assert warehouse.rows("SELECT name FROM texts ORDER BY id") == [(f"{name}!",) for name in NAMES]
    assert warehouse.ids() == []


SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDtoken/of/a/session=="
KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET, TOKEN)


def _connections(warehouse: Warehouse) -> dict[str, Callable[[], Any]]:
    return {
        "redshift_connector": warehouse.connection,
        "psycopg": functools.partial(psycopg.connect, warehouse.redshift.dsn),
    }


@pytest.mark.parametrize("driver", ["redshift_connector", "psycopg"])
def test_keys_in_a_copy_show_nowhere(warehouse: Warehouse, caplog: pytest.LogCaptureFixture, driver: str) -> None:
    """S3 rejects the keys; the syntax is invalid right after them; the connection is lost at the COPY."""
    # at DEBUG the drivers and botocore log all messages of servers
    caplog.set_level(logging.INFO)
    connect = _connections(warehouse)[driver]
    loader = warehouse.loader(connect, iam_role=None, credentials=KEYS, retry=Retry(2, 0.0, 0.0))
    manifest = warehouse.manifest(clicks(1))
    warehouse.loader().load(warehouse.manifest(clicks(0)), "clicks")
    shown = [_failure(CopyError, lambda: loader.load(manifest, "clicks"))]
    broken = warehouse.loader(_breaking(connect), iam_role=None, credentials=KEYS)
    shown.append(_failure(CopyError, lambda: broken.load(manifest, "clicks")))
    for _ in range(2):
        warehouse.redshift.cut_before(6)
    shown.append(_failure(TransientLoadError, lambda: loader.load(manifest, "clicks")))
    shown += [repr(loader), "\n".join(loader.sql([manifest], "clicks")), caplog.text]
    for text in shown:
        assert SECRET not in text
        assert TOKEN not in text
        assert warehouse.redshift.password not in text
    assert "SECRET_ACCESS_KEY '(masked)'" in shown[-2]


def test_keys_that_are_right_load(warehouse: Warehouse) -> None:
    loader = warehouse.loader(iam_role=None, credentials=warehouse.keys)
    assert loader.load(warehouse.manifest(clicks(1)), "clicks").outcome == "loaded"


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # redshift_connector's, when a login fails
@pytest.mark.parametrize("driver", ["redshift_connector", "psycopg"])
def test_a_wrong_password_shows_nowhere(warehouse: Warehouse, caplog: pytest.LogCaptureFixture, driver: str) -> None:
    caplog.set_level(logging.INFO)
    connect: Callable[[], Any] = warehouse.connect_as("hunter2/wrong")
    if driver == "psycopg":
        connect = functools.partial(
            psycopg.connect, warehouse.redshift.dsn.replace(warehouse.redshift.password, "hunter2")
        )
    loader = warehouse.loader(connect)
    text = _failure(LoadError, lambda: loader.load(warehouse.manifest(clicks(1)), "clicks"))
    assert "password authentication failed" in text
    for shown in (text, repr(loader), caplog.text):
        assert "hunter2" not in shown
    gc.collect()


def _at_hostile_key(warehouse: Warehouse, records: list[dict[str, Any]], name: str) -> str:
    body = warehouse.store.get(warehouse.manifest(records).key)
    key = f"manifests/{name.replace('/', '|')}.manifest"
    warehouse.store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/json")
    return warehouse.store.url(key)


def _failure(kind: type[Exception], work: Callable[[], Any]) -> str:
    """Return the traceback of the failure, with all its causes."""
    with pytest.raises(kind) as caught:
        work()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def _breaking(connect: Callable[[], Any]) -> Callable[[], Any]:
    """Return connections that corrupt a COPY right after its keys, so that the server quotes them."""

    def broken() -> Any:
        connection = connect()
        real = connection.cursor

        def cursor() -> Any:
            made = real()
            execute = made.execute
            with contextlib.suppress(AttributeError):
                made.execute = lambda sql: execute(sql.replace(f"'{TOKEN}'", f"'{TOKEN}' '{SECRET}'"))
            return made

        connection.cursor = cursor
        return connection

    return broken
