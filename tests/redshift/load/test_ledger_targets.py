"""A table is never a ledger: streams name tables, and records in a ledger would make later loads skip manifests."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.load.ledger import LEDGER, LedgerName
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.load.table_loads import TableLoads
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Merge, Target
from beam_s3box.stores.retries import Retry
from beam_s3box.transforms.redshift import CopyToRedshift, _NameTables
from tests.redshift.load.conftest import Warehouse, clicks
from tests.redshift.load.fakes import FILE, ROLE, URL, Server, manifest_text, table_loads

PUBLIC = Target("public", LEDGER)


@pytest.mark.parametrize(
    ("ledger", "table"),
    [
        (LEDGER, PUBLIC),
        (LEDGER, Target("other", LEDGER)),
        ("Audit.Loads", Target("audit", "loads")),
        ("my_loads", Target("any", "my_loads")),
        ("audit.loads", PUBLIC),  # that of another loader
        ("{table}_loads", Target("public", "clicks_loads")),
        ("{table}_loads", Target("public", "clicks_loads_loads")),
        ("loads_of_{table}", Target("public", "loads_of_a\nb")),
        ("audit.{table}", Target("audit", "clicks")),
        ("{table}_É", Target("public", "x_é")),
    ],
)
def test_what_is_named_as_a_ledger_is_no_table(ledger: str, table: Target) -> None:
    with pytest.raises(ConfigurationError, match="is a ledger"):
        LedgerName(ledger).check_target(table)


@pytest.mark.parametrize(
    ("ledger", "table"),
    [
        (LEDGER, Target("public", "clicks")),
        (LEDGER, Target(LEDGER, "clicks")),
        ("audit.loads", Target("public", "loads")),
        ("{table}_loads", Target("public", "_loads")),
        ("{table}_loads", Target("public", "loads_clicks")),
        ("{table}.loads", Target("public", "loads")._replace(table="clicks")),
        ("a.c", Target("a", "abc")),
    ],
)
def test_others_are(ledger: str, table: Target) -> None:
    assert LedgerName(ledger).check_target(table) == table
    assert LedgerName(ledger).of(table) != table


@pytest.mark.parametrize("ledger", ["{table}", "a.b.c", "", 'a"b'])
def test_names_that_can_be_no_ledger_are_refused_at_once(ledger: str) -> None:
    with pytest.raises(ConfigurationError, match="ledger="):
        RedshiftLoader(print, iam_role=ROLE, ledger=ledger)


TABLES = [LEDGER, LEDGER.upper(), f"public.{LEDGER}", ("Public", LEDGER.title()), (LEDGER,)]


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_nothing_is_asked_or_made_for_a_table_that_is_a_ledger(table: Any) -> None:
    server = Server()
    loader = RedshiftLoader(server.connect, iam_role=ROLE, fetch=_unread)
    target = TableTemplate(table).target(None, None)
    loads = table_loads(server.connect, fetch=_unread, creates=True)
    works: list[Callable[[], object]] = [
        lambda: loader.load(URL, table),
        lambda: loader.load(URL, table, "truncate"),
        lambda: loader.sql([URL], table),
        lambda: loader.columns(table),
        lambda: loads.load([URL], target),
        lambda: loads.sql([URL], target),
        lambda: CopyToRedshift(table, connection=print, iam_role=ROLE),
    ]
    for work in works:
        with pytest.raises(ConfigurationError, match=f"public.{LEDGER}' is a ledger"):
            work()
    assert server.statements == []


@pytest.mark.parametrize("template", ["public.{domain}_{namespace}", "{domain}_{namespace}", "{namespace}.{domain}"])
def test_a_stream_that_is_named_as_a_ledger_is_refused(template: str) -> None:
    names = (LEDGER, "x") if template.endswith("{domain}") else ("Beam", "S3Box_Loads")
    server = Server()
    loads = table_loads(server.connect, fetch=_unread, creates=True)
    manifest = Manifest(*names, "", 0, URL, "", 1, 10, 0, 0)
    with pytest.raises(ConfigurationError, match=r"is a ledger.*fixed prefix"):
        list(loads.outcomes([manifest], TableTemplate(template).target(*names)))
    assert server.statements == []
    step: Any = _NameTables(TableTemplate(template), loads.loader, fails=False)
    [failed] = step.process(manifest)
    assert "is a ledger" in failed.value.message


def test_records_of_a_stream_can_not_write_or_empty_the_ledger(warehouse: Warehouse) -> None:
    """The forged row claims that a manifest is loaded; "truncate" would have all manifests loaded again."""
    template = TableTemplate("public.{domain}_{namespace}")
    honest, victim = warehouse.manifest(clicks(1, 2)), warehouse.manifest(clicks(3))
    fetch = StoreReader(warehouse.settings, warehouse.keys)
    loads = table_loads(warehouse.connection, fetch=fetch, creates=True, retry=Retry(2, 0.0, 0.0))
    loads.load([honest], template.target("web", "clicks"))
    line = {"table_schema": "public", "table_name": "web_clicks", "manifest_url": victim.url, "records": 1}
    hostile = warehouse.manifest([line])
    for merge in (Merge(), Merge("truncate")):
        with pytest.raises(ConfigurationError, match="is a ledger"):
            dataclasses.replace(loads, merge=merge).load([hostile], template.target("beam", "s3box_loads"))
    assert loads.load([victim], template.target("web", "clicks")).outcome == "loaded"
    assert loads.load([honest], template.target("web", "clicks")).outcome == "already-loaded"
    assert warehouse.ids("web_clicks") == [1, 2, 3]


def test_what_holds_a_connection_shows_none_of_its_arguments() -> None:
    secrets: Any = functools.partial(print, "hunter2")
    settings = LoadSettings(
        connection=secrets, copy=CopySettings(credentials=secrets), fetch=StoreReader(None, secrets)
    )
    loads = TableLoads(settings=settings)
    step = CopyToRedshift("t", connection=secrets, credentials=secrets)
    for shown in (
        loads,
        settings,
        settings.copy,
        settings.fetch,
        loads.loader,
        step,
        step.loads,
        step.display_data(),
        vars(step),
    ):
        assert "hunter2" not in repr(shown)
    assert repr(loads.loader) == "RedshiftLoader(partial)"


def _unread(url: str) -> bytes:
    assert url == URL
    return manifest_text(FILE)
