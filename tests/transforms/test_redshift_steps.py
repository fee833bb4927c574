"""The step that loads tables, alone: which errors fail a bundle, which are rows, and that each is logged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.pvalue import TaggedOutput

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.load.table_loads import LoadFailure
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Target
from beam_s3box.stores.retries import Retry
from beam_s3box.transforms.redshift import _LoadTables, _NameTables
from tests.redshift.load.fakes import FILE, OperationalError, manifest_text, table_loads

MANIFEST = Manifest("d", "n", "", 0, "s3://box/m", "m", 1, 1, 1, 1)


class Loads:
    """Loads into any table but `public.bad`."""

    def outcomes(self, rows: list[Manifest], target: Target, *, one_by_one: bool) -> Iterator[Any]:
        urls = tuple(row.url for row in rows)
        if target.table == "bad":
            yield LoadFailure(str(target), urls, "LoadError", "no such column")
        else:
            yield LoadResult("loaded", str(target), "append", urls, records=1)


def test_a_bundle_does_not_fail_for_one_that_broke_off() -> None:
    step: Any = _LoadTables(Loads(), bounded=True, fails=True)  # type: ignore[arg-type]
    step.setup()
    step.start_bundle()
    [failure] = step.process((("public", "bad"), [MANIFEST]))
    assert isinstance(failure, TaggedOutput)
    with pytest.raises(LoadError, match="no such column"):
        step.finish_bundle()
    step.start_bundle()
    [result] = step.process((("public", "good"), [MANIFEST]))
    assert result.outcome == "loaded"
    step.finish_bundle()


def manifests(url: str) -> bytes:
    return manifest_text(FILE)


def loading(error: Exception, attempts: list[int], *, fails: bool) -> Any:
    """Return the step in a bundle, with connections that fail with this error."""

    def connect() -> None:
        attempts.append(1)
        raise error

    loads = table_loads(connect, fetch=manifests, retry=Retry(3, 0.0, 0.0))
    step: Any = _LoadTables(loads, bounded=True, fails=fails)
    step.setup()
    step.start_bundle()
    return step


@pytest.mark.parametrize("fails", [True, False])
def test_a_redshift_that_can_not_be_reached_ends_the_other_tables_of_a_bundle(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []
    step = loading(OperationalError("no route"), attempts, fails=fails)
    [first] = step.process((("public", "one"), [MANIFEST]))
    [second] = step.process((("public", "two"), [MANIFEST]))
    [third] = step.process((("public", "three"), [MANIFEST]))
    assert len(attempts) == 3
    assert [failed.value.table for failed in (first, second, third)] == ["public.one", "public.two", "public.three"]
    assert {failed.value.error for failed in (first, second, third)} == {"UnreachableError"}
    assert third.value.message == second.value.message == f"not tried: {first.value.message}"
    assert [record.message.partition(" failed")[0] for record in caplog.records] == [
        f"loading 1 manifests into public.{name}" for name in ("one", "two", "three")
    ]
    step.start_bundle()
    list(step.process((("public", "one"), [MANIFEST])))
    assert len(attempts) == 6


def test_a_configuration_error_is_no_row() -> None:
    step = loading(ConfigurationError("password= is missing"), [], fails=False)
    with pytest.raises(ConfigurationError, match="password= is missing"):
        list(step.process((("public", "one"), [MANIFEST])))


def test_names_that_a_manifest_does_not_have_are_a_configuration_error(caplog: pytest.LogCaptureFixture) -> None:
    step: Any = _NameTables(TableTemplate("{domain}"), table_loads().loader, fails=False)
    with pytest.raises(ConfigurationError, match="lists the shards of several"):
        list(step.process(MANIFEST._replace(domain=None, namespace=None)))
    [failed] = step.process(MANIFEST._replace(domain="x" * 130))
    assert isinstance(failed, TaggedOutput)
    assert "has 130 bytes" in caplog.text
