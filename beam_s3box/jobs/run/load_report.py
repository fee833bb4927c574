"""What a job reports of its loads when it ends: lines, a part of the report, and the exit code."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from beam_s3box.cli.console.loads import describe_load
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, write_sql
from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.errors import S3BoxError
from beam_s3box.jobs.options.redshift import Redshift, loads_any
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.totals.loads import Loads, read_loads
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Target
from beam_s3box.sizes import counted_text

_MAX_LINES = 50
"""Tables that are named on the terminal; the report has all."""


@dataclasses.dataclass(frozen=True)
class LoadedReport(RunReport):
    """A run's report, with its loads.

    Attributes:
      redshift: loads and failures, as objects.
    """

    redshift: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)


def with_loads(report: RunReport, loads: Loads) -> LoadedReport:
    """Return the report with the loads."""
    fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    rows = {"loads": [load._asdict() for load in loads.done], "failures": [load._asdict() for load in loads.failed]}
    return LoadedReport(**fields, redshift=rows)


def loads_of(redshift: Redshift | None, write: Write) -> Loads | None:
    """Return the loads of a finished pipeline; None for one that loads nothing.

    Raises:
      StoreError: they can't be read back.
    """
    return read_loads(write.store, write.transform.claim) if loads_any(redshift) else None


def print_loads(redshift: Redshift | None, report: RunReport, loads: Loads | None, log: CommandLog) -> int:
    """Print the loads, or those of a dry run, and return the exit code: 0 only if all manifests are in their tables."""
    if redshift is None:
        return 0
    if loads is None:
        return _print_statements(redshift, report, log)
    if not report.manifests and not loads.done and not loads.failed:
        say(_nothing_loaded(redshift))
    return _print_loads(report, loads, log)


def _nothing_loaded(redshift: Redshift) -> str:
    kept = ", so the tables keep the rows that they have" if redshift.loads.merge.mode == "truncate" else ""
    return f"nothing was loaded: the run has written no manifest{kept}"


def _print_loads(report: RunReport, loads: Loads, log: CommandLog) -> int:
    say(*map(log.masked, _lines(loads)))
    code = 0
    for failure in loads.failed[:_MAX_LINES]:
        code = fail_with(1, f"loading into {failure.table or 'a table'} failed: {failure.message}", log)
    lost = loads.unmentioned(report.manifests)
    if lost:
        missed = counted_text(len(lost), "manifest")
        return fail_with(1, f"not loaded: {missed}, the first is {lost[0]}: load them with s3box load", log)
    return code


def _print_statements(redshift: Redshift, report: RunReport, log: CommandLog) -> int:
    """Print the statements that would load what a run wrote."""
    try:
        for target, manifests in sorted(_by_table(report, redshift.table).items()):
            for statement in redshift.loads.sql(manifests, target):
                write_sql(f"\n{log.masked(statement)};")
    except S3BoxError as exc:
        return fail_with(1, f"the pipeline finished, but its loads can't be shown: {exc}", log)
    return 0


def _by_table(report: RunReport, table: TableTemplate) -> dict[Target, list[str]]:
    found: dict[Target, list[str]] = collections.defaultdict(list)
    of_streams: set[str] = set()
    for stream in report.streams:
        of_streams.update(stream.manifests)
        if stream.manifests:
            found[table.target(stream.domain, stream.namespace)] += stream.manifests
    of_run = [url for url in report.manifests if url not in of_streams]
    if of_run:
        found[table.target(None, None)] += of_run
    return found


def _lines(loads: Loads) -> Iterator[str]:
    tables = [_summed(list(of_table)) for _, of_table in itertools.groupby(loads.done, _table_of)]
    for load in tables[:_MAX_LINES]:
        yield describe_load(load)
    more = tables[_MAX_LINES:]
    if more:
        yield f"… and {sum(load.records for load in more):,} rows loaded into {len(more):,} more tables"


def _summed(loads: Sequence[LoadResult]) -> LoadResult:
    """Return all loads into one table as one."""
    return max(loads, key=lambda load: load.outcome == "loaded")._replace(
        loaded=tuple(url for load in loads for url in load.loaded),
        skipped=tuple(url for load in loads for url in load.skipped),
        records=sum(load.records for load in loads),
        rejected=sum(load.rejected for load in loads),
    )


def _table_of(load: LoadResult) -> str:
    return load.table
