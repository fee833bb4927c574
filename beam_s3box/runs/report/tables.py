"""The tables of the page: streams, dead letters, and what the run was started with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from beam_s3box.records.streams import Stream
from beam_s3box.runs.report.charts import range_bar
from beam_s3box.runs.report.figures import RunFigures, StreamFigures
from beam_s3box.runs.report.markup import Child, Markup, element, join
from beam_s3box.runs.report.scales import wait_text
from beam_s3box.runs.report.sections import card
from beam_s3box.sizes import counted_text, format_size

MAX_STREAMS: Final = 40
"""Rows of streams; the others are one row."""

_MAX_NAMED: Final = 200
"""Streams that are named behind the table."""

_NONE: Final = "-"
_MAX_EXAMPLES: Final = 3
_MAX_CHARACTERS: Final = 400


def streams_card(figures: RunFigures) -> Markup:
    """Return the streams, the largest first."""
    streams = figures.streams
    shown, rest = streams[:MAX_STREAMS], streams[MAX_STREAMS:]
    has_waits, has_letters = bool(len(figures.waits)), any(stream.dead_letters for stream in streams)
    axis = _Axis(figures)
    head = ["stream", "records", "shards", "shard sizes", "raw", "on S3", "ratio", "manifests"]
    head += ["waited"] * has_waits + ["dead letters"] * has_letters
    rows = [
        element("tr", *(element("th", name) for name in head)),
        *(_stream_row(stream, axis, has_waits=has_waits, has_letters=has_letters) for stream in shown),
    ]
    if rest:
        rows.append(_sum_row(f"… and {len(rest):,} more", rest, has_waits, has_letters, "rest"))
    rows.append(
        _sum_row(
            counted_text(sum(one.shards > 0 for one in streams), "stream"), streams, has_waits, has_letters, "total"
        )
    )
    hint = "The largest first. Sizes: the smallest, mean and largest shard of each, on one axis; the line is the limit."
    table = element("div", element("table", *rows), class_="scroll")
    return card("Streams", hint, table, *_named(rest), wide=True)


def letters_card(figures: RunFigures) -> Markup | None:
    """Return why records are dead letters, with examples; None if there are none."""
    letters = figures.letters
    if not letters.reasons and not letters.files:
        return None
    counted = sum(reason.records for reason in letters.reasons)
    parts: list[Markup] = []
    rows: list[Markup] = []
    for reason in letters.reasons:
        bar = element("span", style=f"width:{reason.records / max(counted, 1) * 100:.1f}%")
        hint = f"; {reason.hint}" if reason.hint else ""
        where = f" ({reason.source}{f', line {reason.line:,}' if reason.line else ''})" if reason.source else ""
        examples = list(dict.fromkeys([reason.example, *letters.examples.get(reason.reason, ())]))[:_MAX_EXAMPLES]
        shown = [element("pre", _cut(example, _MAX_CHARACTERS)) for example in examples if example]
        rows += [
            element("span", reason.reason, class_="mono"),
            element("div", bar, class_="track letters"),
            element("span", f"{reason.records:,}"),
            element("div", f"{reason.detail}{hint}{where}", *shown, class_="why"),
        ]
    parts.append(element("div", *rows, class_="reasons"))
    parts += _bad_files(figures)
    if letters.unreadable:
        parts.append(element("p", f"Damaged, and not read whole: {', '.join(letters.unreadable)}", class_="note bad"))
    total = counted if letters.records is None else letters.records
    files = counted_text(letters.files, "file")
    hint = f"{counted_text(total, 'record')} could not be packed. "
    if not letters.is_complete:
        hint = f"Of {counted_text(total, 'record')} in the first of {files}. "
    hint += f"{files}, {format_size(letters.file_bytes)}, below {letters.url}"
    return card("Dead letters", hint, *parts, wide=True)


def settings_card(figures: RunFigures) -> Markup:
    """Return the input, and what the run was started with."""
    record = figures.record
    parts: list[Markup] = []
    if record.input is not None:
        facts: dict[str, Any] = {"records": record.input.records, "dead letters": record.input.rejected}
        if record.input.files is not None:
            facts["files"] = record.input.files
        if record.input.bytes is not None:
            facts["bytes"] = format_size(record.input.bytes)
        parts += [element("h3", "Input"), _list(facts)]
        if record.input.positions:
            parts += [element("h3", "Positions of sources"), _list(record.input.positions)]
    parts.append(element("h3", "Settings"))
    parts.append(
        _list(record.settings) if record.settings else element("p", "Not in this run's record.", class_="muted")
    )
    identity = {"attempt": record.attempt, "superseded": ", ".join(record.superseded), "parent": record.parent or ""}
    parts += [element("h3", "Identity"), _list({name: value for name, value in identity.items() if value})]
    return card("Input and settings", "What the run read, and how it was started; without secrets.", *parts, wide=True)


class _Axis:
    """Places of sizes from 0 to 1, by their logarithm."""

    def __init__(self, figures: RunFigures) -> None:
        known = [stream.limit_bytes for stream in figures.streams if stream.limit_bytes and stream.shards]
        least = max(figures.sizes.quantile(0.0), 1.0)
        most = (
            max(figures.sizes.quantile(1.0), *known, least * 2)
            if known
            else max(figures.sizes.quantile(1.0), least * 2)
        )
        self._low = math.log(least / 1.3)
        self._span = math.log(most * 1.1) - self._low

    def place(self, size: float) -> float:
        return (math.log(max(size, 1.0)) - self._low) / self._span


def _stream_row(stream: StreamFigures, axis: _Axis, *, has_waits: bool, has_letters: bool) -> Markup:
    cells: list[Child] = [_NONE] * 7
    if stream.shards:
        limit = axis.place(stream.limit_bytes) if stream.limit_bytes else None
        mean = stream.object_bytes / stream.shards
        bounds = f"{format_size(stream.least_bytes)} to {format_size(stream.most_bytes)}"
        sizes = range_bar(axis.place(stream.least_bytes), axis.place(mean), axis.place(stream.most_bytes), limit)
        cells = [
            f"{stream.records:,}",
            f"{stream.shards:,}",
            element("span", sizes, title=f"{bounds}, {format_size(round(mean))} on average"),
            format_size(stream.raw_bytes) if stream.raw_bytes else _NONE,
            format_size(stream.object_bytes),
            f"{stream.ratio:.1f}" if stream.raw_bytes else _NONE,
            f"{stream.manifests:,}",
        ]
    if has_waits:
        wait = stream.mean_wait_seconds
        title = None if wait is None else f"at most {wait_text(stream.most_wait_seconds)}"
        cells.append(element("span", _NONE if wait is None else wait_text(wait), title=title))
    row = [element("td", cell) for cell in cells]
    if has_letters:
        row.append(element("td", f"{stream.dead_letters:,}", class_="bad" if stream.dead_letters else None))
    name = _name(stream)
    return element("tr", element("td", name, title=name), *row)


def _sum_row(name: str, streams: Sequence[StreamFigures], has_waits: bool, has_letters: bool, look: str) -> Markup:
    raw_bytes, object_bytes = (sum(getattr(one, field) for one in streams) for field in ("raw_bytes", "object_bytes"))
    cells = [
        name,
        f"{sum(one.records for one in streams):,}",
        f"{sum(one.shards for one in streams):,}",
        "",
        format_size(raw_bytes) if raw_bytes else _NONE,
        format_size(object_bytes),
        f"{raw_bytes / object_bytes:.1f}" if object_bytes and raw_bytes else _NONE,
        f"{sum(one.manifests for one in streams):,}",
    ]
    waits = sum(one.waits for one in streams)
    if has_waits:
        cells.append(wait_text(sum(one.wait_seconds for one in streams) / waits) if waits else _NONE)
    if has_letters:
        cells.append(f"{sum(one.dead_letters for one in streams):,}")
    return element("tr", *(element("td", cell) for cell in cells), class_=look)


def _named(streams: Sequence[StreamFigures]) -> Iterator[Markup]:
    """Yield the names of the streams that have no row."""
    if not streams:
        return
    names = [_name(stream) for stream in itertools.islice(streams, _MAX_NAMED)]
    more = (
        f" … and {len(streams) - _MAX_NAMED:,} more: s3box report --json has all" if len(streams) > _MAX_NAMED else ""
    )
    summary = element("summary", f"The other {len(streams):,} streams")
    yield element("details", summary, element("p", f"{', '.join(names)}{more}", class_="muted mono"))


def _bad_files(figures: RunFigures) -> Iterator[Markup]:
    found = figures.record.input
    if found is None or not found.bad_files:
        return
    yield element("h3", "Files without one good record")
    yield element("div", *(element("pre", f"{path}: {records:,} records") for path, records in found.bad_files))


def _list(values: Mapping[str, Any]) -> Markup:
    rows = [
        join(element("dt", str(name)), element("dd", _cut(_shown(value), 2_000), class_="mono"))
        for name, value in values.items()
    ]
    return element("dl", *rows)


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode("utf-8", "replace")


def _name(stream: StreamFigures) -> str:
    if not stream.is_named:
        return "(no stream)"
    return "/".join(half.replace("/", "%2F") for half in Stream(stream.domain, stream.namespace))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
