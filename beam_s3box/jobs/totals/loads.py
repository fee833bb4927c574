"""WriteLoads: the results of the loads are written as one small object, which the launcher reads back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import orjson

from beam_s3box.engine.claims import RunClaim
from beam_s3box.jobs.totals.run_objects import at_the_end, write_object
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.load.table_loads import LoadFailure
from beam_s3box.stores import Store


class Loads(NamedTuple):
    """The loads of a run.

    Attributes:
      done: those that succeeded, by table.
      failed: those that failed.
    """

    done: list[LoadResult]
    failed: list[LoadFailure]

    def unmentioned(self, manifests: Iterable[str]) -> list[str]:
        """Return the manifests that are in no load; if there are none, the pipeline has lost none."""
        mentioned = {url for load in self.done for url in (*load.loaded, *load.skipped)}
        mentioned.update(url for load in self.failed for url in load.manifests)
        return sorted(set(manifests) - mentioned)


def loads_key(claim: RunClaim) -> str:
    """Return the key of the object with an execution's loads; no other execution reads it."""
    return claim.layout.of_attempt(claim.attempt, "loads")


def read_loads(store: Store, claim: RunClaim) -> Loads:
    """Return the loads of a pipeline.

    Raises:
      StoreError: they can't be read.
    """
    rows = orjson.loads(store.get(loads_key(claim)))
    done = [_tupled(LoadResult, row) for row in rows if "outcome" in row]
    failed = [_tupled(LoadFailure, row) for row in rows if "outcome" not in row]
    return Loads(sorted(done, key=_place), sorted(failed))


class WriteLoads(beam.PTransform):
    """Gathers the results of the loads, and writes them when the input has ended.

    Takes a CopyToRedshiftResult as a plain tuple.

    Args:
      store: to write to.
      claim: the execution's claim of the run.
    """

    def __init__(self, store: Store, claim: RunClaim) -> None:
        super().__init__()
        self._store = store
        self._claim = claim

    def expand(self, result: tuple[beam.PCollection, ...]) -> beam.PCollection:
        """Write the object; the output is empty."""
        loads, failures = result
        rows = [
            # a row that always exists, so that the object is written after a run of nothing too
            loads.pipeline | "Seed" >> beam.Create([("", b"")]).with_output_types(_ROW),
            loads | "RenderLoads" >> _rendered(),
            failures | "RenderFailures" >> _rendered(),
        ]
        return (
            [row | f"Whole{number}" >> at_the_end() for number, row in enumerate(rows)]
            | "AllRows" >> beam.Flatten()
            | "Gather" >> beam.GroupByKey()
            | "WriteObject" >> beam.ParDo(_WriteObject(self._store, self._claim))
        )


_ROW = tuple[str, bytes]


def _rendered() -> beam.PTransform:
    return beam.ParDo(_Render()).with_output_types(_ROW)


class _Render(beam.DoFn):
    def process(self, row: LoadResult | LoadFailure) -> Iterator[tuple[str, bytes]]:
        yield "", orjson.dumps(row._asdict())


class _WriteObject(beam.DoFn):
    def __init__(self, store: Store, claim: RunClaim) -> None:
        self._store = store
        self._claim = claim

    def process(self, element: tuple[str, Iterable[bytes]]) -> None:
        body = b"[%s]" % b",".join(sorted(filter(None, element[1])))
        write_object(self._store, loads_key(self._claim), body)


def _place(load: LoadResult) -> tuple[str, tuple[str, ...]]:
    return load.table, load.loaded or load.skipped


def _tupled(kind: Any, row: dict[str, Any]) -> Any:
    """Return a row whose lists are tuples again."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
