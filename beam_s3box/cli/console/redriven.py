"""What `redrive` prints: which runs have the dead letters of another one, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from beam_s3box.cli.console.output import say, say_text, width_of_output
from beam_s3box.cli.console.packed import report_of_packed
from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.console.table import balance_line, dead_letter_lines, render_table
from beam_s3box.engine.run_reader import Run
from beam_s3box.records.encoding import MAP_FAILED
from beam_s3box.runs.redrive.redrive import Redriven

_MAX_URLS = 5


def print_redriven(run: Run, redriven: Sequence[Redriven], *, is_json: bool, is_quiet: bool) -> str:
    """Print what became of dead letters; return what is wrong with that, empty for nothing.

    Args:
      run: that had the dead letters.
      redriven: the runs that have them now.
      is_json: whether it is printed as JSON, and the table to standard error.
      is_quiet: whether no table is printed.
    """
    reports = [_report_of(one) for one in redriven]
    if is_json:
        values = [_values(one, report) for one, report in zip(redriven, reports, strict=True)]
        say_text(json.dumps({"parent": run.run_id, "runs": values}, indent=2))
    if not is_quiet:
        for one, report in zip(redriven, reports, strict=True):
            _print_one(run, one, report, to_error=is_json)
        if not redriven:
            say(f"run {run.run_id} has no dead letters", error=is_json)
    wrong = [report for report in reports if not report.balances]
    if wrong:
        return f"records are missing or duplicated: {balance_line(wrong[0])}"
    # of what was tried now: a call that finds nothing to do any more succeeds
    return next(filter(None, (_broken_map(one, run) for one in redriven)), "")


def _broken_map(one: Redriven, run: Run) -> str:
    """Return that the map function failed with every dead letter, as one that is broken does; empty if it did not."""
    if one.packed is None:
        return ""
    totals = one.packed.totals
    reasons = totals.sorted_reasons()
    if totals.accepted or [reason.reason for reason in reasons] != [MAP_FAILED]:
        return ""
    return (
        f"{reasons[0].detail}, with every one of the {totals.rejected:,} dead letters: mend it, then redrive run "
        f"{one.run_id}, which has them now: s3box redrive {run.store.root} --run_id {one.run_id} --map …"
    )


def _print_one(run: Run, one: Redriven, report: RunReport, *, to_error: bool) -> None:
    reasons = ", ".join(one.selection.files)
    if one.packed is None:
        say(
            f"run {one.run_id} had redriven dead letters of run {run.run_id} before, {reasons}: nothing was done",
            error=to_error,
        )
    else:
        say(f"run {one.run_id} redrives dead letters of run {run.run_id}: {reasons}", error=to_error)
        say_text(render_table(report, width_of_output(error=to_error)), error=to_error)
    say(balance_line(report), *dead_letter_lines(report), *_places(run, one, report), error=to_error)


def _places(run: Run, one: Redriven, report: RunReport) -> Iterator[str]:
    for url in report.manifests[:_MAX_URLS]:
        yield f"manifest {url}"
    if len(report.manifests) > _MAX_URLS:
        yield f"… and {len(report.manifests) - _MAX_URLS:,} more manifests"
    if report.dead_letters:
        yield f"still bad: when it is mended, s3box redrive {run.store.root} --run_id {one.run_id}"


def _values(one: Redriven, report: RunReport) -> dict[str, Any]:
    before = one.packed is None
    values: dict[str, Any] = json.loads(report.to_json())
    return {**values, "reasons": list(one.selection.files), "redriven_before": before}


def _report_of(one: Redriven) -> RunReport:
    if one.packed is not None and one.plan is not None:
        return report_of_packed(one.packed, one.plan)
    record = one.record
    if record is None:  # there is one where nothing was packed
        return RunReport(one.run_id, 0, 0, 0, [], [])
    found = record.input
    return RunReport(
        run_id=one.run_id,
        records_in=found.records if found else record.size.records,
        records_listed=record.size.records,
        dead_letters=found.rejected if found else 0,
        streams=[],
        manifests=[manifest.url for manifest in record.manifests],
        dead_letter_reasons=list(found.reasons) if found else [],
    )
