"""The table of a manifest, and the columns that it is created with."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from beam_s3box import AvroFormat
from beam_s3box.box import S3Box
from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, TransientLoadError
from beam_s3box.formats.avro.blocks import header_of
from beam_s3box.redshift import Column, LoadResult
from beam_s3box.redshift.load.filled_columns import check_filled
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.table_loads import LoadFailure, TableLoads, make_table
from beam_s3box.redshift.manifests import StoreReader, read_manifests
from beam_s3box.redshift.schema.avro_columns import avro_columns
from beam_s3box.redshift.schema.manifest_columns import columns_of_manifests
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Target
from beam_s3box.stores.retries import Retry
from tests.redshift.load.fakes import (
    FILE,
    OTHER,
    URL,
    OperationalError,
    Server,
    ServerError,
    manifest_text,
    once,
    table_loads,
)


@pytest.mark.parametrize(
    ("table", "names", "expected"),
    [
        ("flights", (None, None), Target("public", "flights")),
        ("Web.Flights", ("a", "b"), Target("web", "flights")),
        ("{domain}_{namespace}", ("UA", "EWR"), Target("public", "ua_ewr")),
        ("{domain}.x_{namespace}", ("Web", "n.o"), Target("web", "x_n.o")),
        (("{domain}", "a.b"), ("s", "n"), Target("s", "a.b")),
        ("{namespace}", ("d", "{domain}"), Target("public", "{domain}")),
        ("{namespace}", ("d", 'x"; DROP TABLE y; --'), Target("public", 'x"; drop table y; --')),
    ],
)
def test_templates(table: Any, names: tuple[str | None, str | None], expected: Target) -> None:
    assert TableTemplate(table).target(*names) == expected


@pytest.mark.parametrize("table", ["{dom}", "{}", "{domain!r}", "a}", "{domain", "a.b.c", "", "{domain}.b.c", 'a"b'])
def test_templates_that_can_not_be(table: str) -> None:
    with pytest.raises(ConfigurationError, match="table="):
        TableTemplate(table)


def test_a_template_needs_names_and_they_may_be_too_long() -> None:
    with pytest.raises(ConfigurationError, match="this manifest lists the shards of several"):
        TableTemplate("{domain}").target(None, None)
    with pytest.raises(ConfigurationError, match="has 130 bytes"):
        TableTemplate("{domain}").target("é" * 65, "n")


SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "Id", "type": "long"},
        {"name": "flag", "type": ["null", "boolean"]},
        {"name": "small", "type": "int"},
        {"name": "ratio", "type": ["double", "null"]},
        {"name": "half", "type": "float"},
        {"name": "text", "type": "string"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a"]}},
        {"name": "again", "type": ["null", "Kind"]},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 4}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "more", "type": {"type": "map", "values": "long"}},
        {"name": "inner", "type": ["null", {"type": "record", "name": "Inner", "namespace": "x.y", "fields": []}]},
        {"name": "other", "type": ["null", "x.y.Inner"]},
    ],
}  # fmt: skip


def test_columns_of_an_avro_schema() -> None:
    columns = avro_columns("u", header_of(orjson.dumps(SCHEMA).decode(), "null"))
    assert [(column.name, column.type) for column in columns] == [
        ("id", "BIGINT"), ("flag", "BOOLEAN"), ("small", "INTEGER"), ("ratio", "DOUBLE PRECISION"), ("half", "REAL"),
        ("text", "VARCHAR(65535)"), ("kind", "VARCHAR(65535)"), ("again", "VARCHAR(65535)"), ("hash", "VARCHAR(65535)"),
        ("tags", "SUPER"), ("more", "SUPER"), ("inner", "SUPER"), ("other", "SUPER"),
    ]  # fmt: skip
    assert columns[0].key == "Id"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "no valid Avro header"),
        (b"", "no valid Avro header"),
        (header_of(orjson.dumps(SCHEMA).decode(), "null")[:60], "no valid Avro header"),
        (header_of('"string"', "null"), "a schema that is not a record"),
        (
            header_of('{"type":"record","name":"E","fields":[{"name":"a","type":"int"},{"name":"A","type":"int"}]}', "null"),
            "'a' and 'A', which are one column to Redshift",
        ),
    ],
)  # fmt: skip
def test_headers_that_can_not_be(body: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        avro_columns("u", body)


def avro_with(**types: str) -> bytes:
    fields = [{"name": name, "type": type} for name, type in types.items()]
    return header_of(orjson.dumps({"type": "record", "name": "E", "fields": fields}).decode(), "deflate")


def test_fields_of_avro_fill_columns() -> None:
    bodies = {URL: manifest_text("s3://b/a.avro", "s3://b/b.avro")}
    bodies |= {"s3://b/a.avro": avro_with(other="long"), "s3://b/b.avro": avro_with(Ident="long")}
    manifests = read_manifests([URL], bodies.__getitem__)
    target, columns = Target("public", "t"), LoadedColumns(("ident",))
    check_filled(target, columns, manifests, bodies.__getitem__, "auto ignorecase")
    with pytest.raises(LoadError, match=r"its columns are 'ident', and the keys 'other', 'Ident'\. For 'Ident'"):
        check_filled(target, columns, manifests, bodies.__getitem__, "auto")


def test_schemas_that_differ_make_columns_for_both() -> None:
    bodies = {
        URL: manifest_text("s3://b/a.avro", "s3://b/b.avro"),
        "s3://b/a.avro": avro_with(same="long", wider="int", mixed="boolean", left="string"),
        "s3://b/b.avro": avro_with(same="long", wider="long", mixed="long", more="double"),
    }
    columns = columns_of_manifests(read_manifests([URL], bodies.__getitem__), bodies.__getitem__, exclude=["left"])
    assert {column.name: column.type for column in columns} == {
        "same": "BIGINT", "wider": "BIGINT", "mixed": "VARCHAR(65535)", "more": "DOUBLE PRECISION",
    }  # fmt: skip


def test_columns_of_what_the_package_itself_writes(tmp_path: Any) -> None:
    with S3Box(tmp_path, format=AvroFormat(SCHEMA | {"fields": SCHEMA["fields"][:3]})) as box:
        box.pack({"Id": 1, "flag": None, "small": 2})
        box.seal()
        url = box.url(box.create_manifests("m", 1)[0])
    columns = columns_of_manifests(read_manifests([url], StoreReader()), StoreReader())
    assert [column.name for column in columns] == ["id", "flag", "small"]


def test_nothing_listed_is_nothing_to_make_columns_of() -> None:
    with pytest.raises(ConfigurationError, match="manifests list no files"):
        columns_of_manifests([], StoreReader())


def loads_on(server: Server) -> TableLoads:
    texts = {URL: manifest_text(FILE), OTHER: manifest_text(FILE + "2")}
    return table_loads(server.connect, fetch=texts.__getitem__, retry=Retry(1, 0.0, 0.0))


CLICKS = Target("public", "clicks")


def test_manifests_that_are_tried_alone_come_in_the_order_of_their_firings() -> None:
    def manifest(url: str, pane: int) -> Manifest:
        return Manifest("web", "clicks", "", pane, url, "", 1, 10, 0, 0)

    server = Server()
    server.faults = once("COPY", ServerError("a value is too long"))
    outcomes = list(loads_on(server).outcomes([manifest(URL, 1), manifest(OTHER, 0)], CLICKS, one_by_one=True))
    assert [one.loaded for one in outcomes if isinstance(one, LoadResult)] == [(OTHER,), (URL,)]
    assert len(outcomes) == 2


def test_what_may_go_well_later_is_not_tried_alone() -> None:
    server = Server()
    server.faults = once("COPY", OperationalError("gone"), times=1)
    [failure] = loads_on(server).outcomes([URL, OTHER], CLICKS, one_by_one=True)
    assert isinstance(failure, LoadFailure)
    assert (failure.error, failure.manifests) == ("TransientLoadError", (URL, OTHER))


def test_keys_that_can_be_no_columns_are_a_failure_of_their_table() -> None:
    texts = {URL: manifest_text(FILE), FILE: b'{"id":1,"ID":2}\n'}
    loads = table_loads(Server().connect, fetch=texts.__getitem__, creates=True)
    [failure] = loads.outcomes([URL], CLICKS)
    assert isinstance(failure, LoadFailure)
    assert failure.error == "LoadError"
    assert "which are one column to Redshift" in failure.message


def test_a_load_reads_each_manifest_once() -> None:
    texts, read = {URL: manifest_text(FILE), FILE: b'{"id":1}\n'}, []

    def fetch(url: str) -> bytes:
        read.append(url)
        return texts[url]

    loads = table_loads(Server().connect, fetch=fetch, creates=True)
    assert loads.load([URL], CLICKS).records == 10
    assert sorted(read) == sorted(texts)
    read.clear()
    assert loads.sql([URL], CLICKS)[0].startswith("CREATE TABLE")
    assert sorted(read) == sorted(texts)


class Tables:
    """A fake of the loader's methods that `make_table` uses."""

    def __init__(self, columns: list[str], *errors: Exception) -> None:
        self.names = columns
        self.errors = list(errors)
        self.executed: list[str] = []

    def execute(self, *statements: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.executed += statements

    def columns(self, table: Target) -> list[str]:
        return self.names


COLUMNS = [Column("id", "BIGINT"), Column("More", "SUPER")]


def test_another_session_that_was_faster_is_no_error() -> None:
    tables: Any = Tables(["id"], LoadError("exists"))
    make_table(tables, CLICKS, COLUMNS)
    assert tables.executed[-1] == 'ALTER TABLE "public"."clicks" ADD COLUMN "More" SUPER'
    full: Any = Tables(["id", "more"])
    make_table(full, CLICKS, COLUMNS)
    assert [statement.split()[0] for statement in full.executed] == ["CREATE"]
    for error in (LoadError("no"), TransientLoadError("lost")):
        broken: Any = Tables([], error, error)
        with pytest.raises(type(error)):
            make_table(broken, CLICKS, COLUMNS)
        assert len(broken.errors) == (0 if type(error) is LoadError else 1)
