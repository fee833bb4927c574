"""WriteSummary: the pipeline itself adds up what it wrote, so that totals are right on every runner.

A launcher sees a remote job's counters, and those of retried bundles may count twice; what stands in the PCollections
counts once. The sums are written as one small object, `runs/{run_id}~summary.json`, which the launcher reads back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import apache_beam as beam

from beam_s3box.cli.tallies import WHOLE_RUN, Tally, render_summary, tally_of_manifest, tally_of_shard
from beam_s3box.dead_letters import DeadLetter
from beam_s3box.manifests import Manifest
from beam_s3box.shards import ShardFile
from beam_s3box.stores import Store


def summary_key(run_id: str) -> str:
    """Return the key of a run's summary; `~` is in no run id, so it is no other run's record."""
    return f"runs/{run_id}~summary.json"


_TALLIES = tuple[tuple[str, str], Tally]


class WriteSummary(beam.PTransform):
    """Adds up the result of a write in the global window, and writes the sums.

    Args:
      store: where to.
      run_id: the run's name.
      has_manifests: whether manifests list the shards.
    """

    def __init__(self, store: Store, run_id: str, *, has_manifests: bool) -> None:
        super().__init__()
        self._store = store
        self._run_id = run_id
        self._has_manifests = has_manifests

    def expand(self, result: tuple[beam.PCollection, ...]) -> beam.PCollection:
        """Return nothing; the input is a WriteToS3BoxResult as a plain tuple."""
        shards, manifests, dead_letters = result
        count_shards = beam.ParDo(_TallyShards(self._has_manifests)).with_output_types(_TALLIES)
        count_manifests = beam.ParDo(_TallyManifests()).with_output_types(_TALLIES)
        count_letters = beam.ParDo(_TallyDeadLetters()).with_output_types(_TALLIES)
        tallies = (
            shards | "TallyShards" >> count_shards,
            manifests | "TallyManifests" >> count_manifests,
            dead_letters | "TallyDeadLetters" >> count_letters,
        )
        return (
            tallies
            | "AllTallies" >> beam.Flatten()
            | "SumByStream" >> beam.CombinePerKey(_SumTallies())
            | "Gather" >> beam.combiners.ToList()
            | "WriteObject" >> beam.ParDo(_WriteObject(self._store, self._run_id))
        )


class _TallyShards(beam.DoFn):
    def __init__(self, has_manifests: bool) -> None:
        self._has_manifests = has_manifests

    def process(self, file: ShardFile) -> Iterator[tuple[tuple[str, str], Tally]]:
        yield tally_of_shard(file, has_manifests=self._has_manifests)


class _TallyManifests(beam.DoFn):
    def process(self, manifest: Manifest) -> Iterator[tuple[tuple[str, str], Tally]]:
        yield tally_of_manifest(manifest)


class _TallyDeadLetters(beam.DoFn):
    def process(self, letter: DeadLetter) -> Iterator[tuple[tuple[str, str], Tally]]:
        yield WHOLE_RUN, Tally(dead_letters=1)


class _SumTallies(beam.CombineFn):
    def create_accumulator(self) -> Tally:
        return Tally()

    def add_input(self, accumulator: Tally, tally: Tally) -> Tally:
        return accumulator.plus(tally)

    def merge_accumulators(self, accumulators: Iterable[Tally]) -> Tally:
        total = Tally()
        for accumulator in accumulators:
            total = total.plus(accumulator)
        return total

    def extract_output(self, accumulator: Tally) -> Tally:
        return accumulator


class _WriteObject(beam.DoFn):
    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def process(self, tallies: list[tuple[tuple[str, str], Tally]]) -> None:
        body = render_summary(self._run_id, tallies)
        digest = hashlib.sha256(body).hexdigest()
        # a bundle that is retried writes the same again
        self._store.put(summary_key(self._run_id), body, sha256=digest, content_type="application/json", replace=True)
