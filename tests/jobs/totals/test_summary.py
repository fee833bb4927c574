"""A run without an end lists what it writes at once: that it had too many dead letters is reported when its input ended."""

from __future__ import annotations

import apache_beam as beam
import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.dead_letter_limit import DeadLetterLimit
from beam_s3box.engine.input_totals import DeadLetterReason, InputTotals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.jobs.totals.summary import Summary, WriteSummary, read_summary
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore

BAD = DeadLetterReason("not-json", 2, "why", "", "bad.jsonl", 1, None, "x")


def summary_of(limit: str | None, *totals: tuple[str, InputTotals]) -> Summary:
    store, claim = MemoryStore(new_token(12)), RunClaim(Layout("run"), new_token(32), bounded=False)
    with beam.Pipeline() as pipeline:
        shards = pipeline | "Shards" >> beam.Create([]).with_output_types(ShardFile)
        manifests = pipeline | "Manifests" >> beam.Create([]).with_output_types(Manifest)
        counts = pipeline | "Totals" >> beam.Create(totals)
        step = WriteSummary(store, claim, DeadLetterLimit.of(limit), has_manifests=True)
        _ = (shards, manifests, shards, counts) | "WriteSummary" >> step
    return read_summary(store, claim, lambda: 6)


@pytest.mark.parametrize(
    ("limit", "failure"),
    [
        (
            None,
            "4 of 6 records are dead letters, among them every one of bad.jsonl: 4 not-json: why (bad.jsonl, line 1)",
        ),
        ("50%", "4 of 6 records are dead letters, more than max_dead_letters='50%'"),
        ("3", "4 of 6 records are dead letters, more than max_dead_letters=3"),
        ("70%", ""),
        ("4", ""),
    ],
)
def test_totals_of_bundles_are_added_by_file_and_held_against_the_limit(limit: str | None, failure: str) -> None:
    bad = InputTotals(0, 2, {"not-json": BAD})
    summary = summary_of(limit, ("bad.jsonl", bad), ("good.jsonl", InputTotals(2)), ("bad.jsonl", bad))
    assert (summary.failure == "") == (failure == "")
    assert failure in summary.failure
    assert (summary.report.dead_letters, summary.report.dead_letter_reasons) == (4, [BAD.plus(2)])


def test_a_file_of_which_another_bundle_had_good_records_is_no_bad_file() -> None:
    bad = InputTotals(0, 2, {"not-json": BAD})
    assert summary_of(None, ("mixed.jsonl", bad), ("mixed.jsonl", InputTotals(2))).failure == ""
    assert summary_of(None).failure == ""
