"""The report of a run that was packed without Beam."""

from __future__ import annotations

from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.console.tallies import (
    render_summary,
    sum_tallies,
    tally_of_input,
    tally_of_manifest,
    tally_of_shard,
)
from beam_s3box.engine.line_packer import Packed
from beam_s3box.engine.plan import RunPlan


def report_of_packed(packed: Packed, plan: RunPlan) -> RunReport:
    """Return the report of what a packer did."""
    has_manifests = plan.manifests is not None
    sums = sum_tallies(
        (
            *(tally_of_shard(file, has_manifests=has_manifests) for file in packed.shards),
            *map(tally_of_manifest, packed.manifests),
            tally_of_input(packed.totals),
        )
    )
    return RunReport.of_summary(render_summary(plan.layout.run_id, sums.items()), packed.records_in)
