"""A finished run as a table for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from beam_s3box.cli.console.report import RunReport, StreamTotals
from beam_s3box.sizes import counted_text, format_seconds, format_size
from beam_s3box.system.printable import printable

MAX_STREAMS = 50
"""Rows of streams; more would scroll the totals away."""

_MAX_NAME_CHARACTERS = 60
_MIN_NAME_CHARACTERS = 12
_GAP = "  "
_DISPENSABLE = ("ratio", "manifests", "raw", "shards")
"""Columns that a narrow terminal does without, the first one first."""
_HEAD = ("stream", "records", "shards", "raw", "on S3", "ratio", "manifests")


def render_table(report: RunReport, width: int | None = None) -> str:
    """Return the table: the streams, the largest first where there are many, and the totals.

    Args:
      report: of the run.
      width: of the terminal; None for none that lines must fit.
    """
    streams = report.streams
    rows: list[tuple[str, ...]] = [_HEAD]
    if len(streams) > MAX_STREAMS:
        largest = sorted(streams, key=lambda stream: (-stream.object_bytes, stream.domain, stream.namespace))
        rows += map(_stream_row, largest[:MAX_STREAMS])
        rows.append(_sum_row(f"… and {len(streams) - MAX_STREAMS:,} more", largest[MAX_STREAMS:]))
    else:
        rows += map(_stream_row, streams)
    total = _sum_row(counted_text(len(streams), "stream"), streams)
    rows.append((*total[:-1], f"{len(report.manifests):,}"))
    if not any(stream.manifests for stream in streams):
        rows = _without("manifests", rows)
    for name in _DISPENSABLE:
        if width is None or _least_width(rows) <= width:
            break
        rows = _without(name, rows)
    return align(rows, width)


def balance_line(report: RunReport) -> str:
    """Return whether all records arrived, as one line."""
    sign = "=" if report.balances else "≠"
    return (
        f"{counted_text(report.records_in, 'record')} read {sign} {report.records_listed:,} listed + "
        f"{counted_text(report.dead_letters, 'dead letter')}"
    )


def dead_letter_lines(report: RunReport) -> list[str]:
    """Return why records are dead letters, one line a reason."""
    return [f"  {reason}" for reason in report.dead_letter_reasons]


def rate_line(report: RunReport) -> str:
    """Return how long the run took and how fast it was, as one line."""
    seconds = max(report.seconds, 0.001)
    raw_bytes = sum(stream.raw_bytes for stream in report.streams)
    return (
        f"{format_seconds(report.seconds)}, {report.records_in / seconds:,.0f} records/s, "
        f"{format_size(int(raw_bytes / seconds))}/s"
    )


def shown_stream(domain: str, namespace: str) -> str:
    """Return a stream's name for people: a slash within a half is written as patterns of streams have it."""
    return "/".join(printable(name).replace("/", "%2F") for name in (domain, namespace))


def _stream_row(stream: StreamTotals) -> tuple[str, ...]:
    return _sum_row(shown_stream(stream.domain, stream.namespace), [stream])


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


def _without(name: str, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(cell for cell, head in zip(row, rows[0], strict=True) if head != name) for row in rows]


def _least_width(rows: list[tuple[str, ...]]) -> int:
    """Return the columns of a terminal that the rows take with the shortest names."""
    others = [max(map(cell_width, column)) for column in list(zip(*rows, strict=True))[1:]]
    return _MIN_NAME_CHARACTERS + sum(others) + len(_GAP) * len(others)


def align(rows: Iterable[tuple[str, ...]], width: int | None, *, has_total: bool = True) -> str:
    """Return rows as lines of columns; the first column takes what the others leave of the width.

    Args:
      rows: the head, then the others.
      width: of the terminal; None for none that lines must fit.
      has_total: whether the last row is the total of the others.
    """
    rows = list(rows)
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    left = _MAX_NAME_CHARACTERS if width is None else width - sum(widths[1:]) - len(_GAP) * len(widths[1:])
    widths[0] = min(widths[0], max(min(left, _MAX_NAME_CHARACTERS), _MIN_NAME_CHARACTERS))
    lines = []
    for first, *numbers in rows:
        name = _cut(first, widths[0])
        name += " " * (widths[0] - cell_width(name))
        cells = [name, *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))]
        lines.append(_GAP.join(cells).rstrip())
    rule = "-" * max(map(cell_width, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]] if has_total else [lines[0], rule, *lines[1:]])


def cell_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "FW")
        for character in text
    )


def _cut(text: str, width: int) -> str:
    """Return the text, its end replaced by … if it takes more columns."""
    if cell_width(text) <= width:
        return text
    while cell_width(text) > width - 1:
        text = text[:-1]
    return f"{text}…"
