"""Tables, modes and keys: invalid ones are errors before Redshift is asked."""

from __future__ import annotations

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.target import Merge, Target, check_on_replaced, merge_of, target_of


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("clicks", Target("public", "clicks")),
        ("Web.Clicks", Target("web", "clicks")),
        (("web", "my.table"), Target("web", "my.table")),
        (("a;drop",), Target("public", "a;drop")),
    ],
)
def test_a_table_has_a_schema_and_is_written_in_lower_case(table: str | tuple[str, ...], expected: Target) -> None:
    assert target_of(table, "Public") == expected
    assert str(expected) == f"{expected.schema}.{expected.table}"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("dev.web.clicks", "names a database"),
        ("", "must be 'table' or 'schema.table'"),
        ("a" * 128, "has 128 bytes"),
        ('"x"', "must have no quotes"),
    ],
)
def test_a_name_that_can_not_work_is_refused(table: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        target_of(table, "public")


def test_keys_may_be_one_name_or_several() -> None:
    assert merge_of("upsert", "id", None).keys == ("id",)
    assert merge_of("upsert", ["id", "day"], "seen") == Merge("upsert", ("id", "day"), "seen")


@pytest.mark.parametrize(
    ("mode", "keys", "order_by", "message"),
    [
        ("replace", None, None, "mode='replace' must be one of append, truncate, upsert"),
        ("upsert", None, None, "keys= is missing"),
        ("upsert", [], None, "keys= is missing"),
        ("append", "id", None, r"keys=\['id'\].* are for mode='upsert'"),
        ("truncate", None, "seen", "are for mode='upsert'"),
        ("upsert", "", None, "keys= is missing"),
    ],
)
def test_a_mode_that_can_not_work_is_refused(mode: str, keys: object, order_by: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        merge_of(mode, keys, order_by)  # type: ignore[arg-type]


def test_keys_must_be_loaded() -> None:
    merge = Merge("upsert", ("ID",), "seen")
    merge.check_columns(["id", "Seen"])
    with pytest.raises(ConfigurationError, match="keys= has 'ID', which is not loaded; the columns are name, seen"):
        merge.check_columns(["name", "seen"])
    with pytest.raises(ConfigurationError, match="order_by= has 'seen'"):
        merge.check_columns(["id"])


def test_what_becomes_of_replaced_manifests_is_checked() -> None:
    check_on_replaced("reload", "truncate")
    with pytest.raises(ConfigurationError, match="must be one of error, skip, reload"):
        check_on_replaced("again", "append")  # type: ignore[arg-type]
