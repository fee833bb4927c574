"""The step that loads tables, alone: what a bundle that broke off had failed is not the next one's failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.pvalue import TaggedOutput

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import LoadError
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.load.table_loads import LoadFailure
from beam_s3box.redshift.sql.target import Target
from beam_s3box.transforms.redshift import _LoadTables

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
