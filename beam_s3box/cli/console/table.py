"""A finished run as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from beam_s3box.cli.console.report import RunReport, StreamTotals
from beam_s3box.records.streams import Stream
from beam_s3box.sizes import format_size

MAX_STREAMS = 50
"""Rows of streams; more would scroll the totals away."""

_MAX_NAME_CHARACTERS = 60
_HEAD = ("stream", "records", "shards", "raw", "on S3", "ratio", "manifests")


def render_table(report: RunReport) -> str:
    """Return the table: the streams, the largest first where there are many, and the totals."""
    streams = report.streams
    rows: list[tuple[str, ...]] = [_HEAD]
    if len(streams) > MAX_STREAMS:
        largest = sorted(streams, key=lambda stream: (-stream.object_bytes, stream.domain, stream.namespace))
        rows += map(_stream_row, largest[:MAX_STREAMS])
        rows.append(_sum_row(f"… and {len(streams) - MAX_STREAMS:,} more", largest[MAX_STREAMS:]))
    else:
        rows += map(_stream_row, streams)
    total = _sum_row(_number(len(streams), "stream"), streams)
    rows.append((*total[:-1], f"{len(report.manifests):,}"))
    return _align(rows)


def balance_line(report: RunReport) -> str:
    """Return whether all records arrived, as one line."""
    sign = "=" if report.balances else "≠"
    return (
        f"{_number(report.records_in, 'record')} read {sign} {report.records_listed:,} listed + "
        f"{_number(report.dead_letters, 'dead letter')}"
    )


def dead_letter_lines(report: RunReport) -> list[str]:
    """Return why records are dead letters, one line a reason."""
    return [f"  {reason}" for reason in report.dead_letter_reasons]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _stream_row(stream: StreamTotals) -> tuple[str, ...]:
    name = str(Stream(stream.domain, stream.namespace))
    if len(name) > _MAX_NAME_CHARACTERS:
        name = name[: _MAX_NAME_CHARACTERS - 1] + "…"
    return _sum_row(name, [stream])


def _sum_row(name: str, streams: Sequence[StreamTotals]) -> tuple[str, ...]:
    raw_bytes = sum(stream.raw_bytes for stream in streams)
    object_bytes = sum(stream.object_bytes for stream in streams)
    return (
        name,
        f"{sum(stream.records for stream in streams):,}",
        f"{sum(stream.shards for stream in streams):,}",
        format_size(raw_bytes),
        format_size(object_bytes),
        f"{raw_bytes / object_bytes:.1f}" if object_bytes else "-",
        f"{sum(len(stream.manifests) for stream in streams):,}",
    )


def _align(rows: Iterable[tuple[str, ...]]) -> str:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *numbers in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
