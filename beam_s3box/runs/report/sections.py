"""The cards of the page that show how shards, waiting times and windows are spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from beam_s3box.runs.report.charts import AxisLabel, Column, Mark, columns_chart
from beam_s3box.runs.report.figures import Distribution, RunFigures
from beam_s3box.runs.report.markup import Markup, element
from beam_s3box.runs.report.scales import (
    Histogram,
    linear_histogram,
    log_histogram,
    seconds_histogram,
    short_seconds,
    wait_text,
)
from beam_s3box.runs.report.timeline import Timeline, moment_label, moment_text, timeline_of
from beam_s3box.shards import packing
from beam_s3box.sizes import format_size

_SMALL_BYTES: Final = 1_000_000
_WIDE: Final = 1150.0

SEALED_BY: Final[Mapping[str, str]] = {
    packing.BY_OBJECT_BYTES: "the shard reached its limit on S3 bytes",
    packing.BY_RAW_BYTES: "it reached its limit on bytes before compression",
    packing.BY_RECORDS: "it reached its limit on records",
    packing.BY_SECONDS: "its first record reached the age limit",
    packing.BY_BUNDLE_END: "the bundle ended, or all of the input was in it",
    packing.BY_INPUT_END: "the input ended",
    packing.BY_WINDOW_END: "its window ended",
    packing.BY_LATENESS: "its records came after the end of their window",
    packing.BY_MEMORY: "too much was buffered in memory",
}
"""What each reason says."""


def card(title: str, hint: str, *content: Markup, wide: bool = False) -> Markup:
    """Return a card of the page."""
    return element(
        "section", element("h2", title), element("p", hint), *content, class_="card wide" if wide else "card"
    )


def sizes_card(figures: RunFigures) -> Markup:
    """Return the sizes of shards against their limit."""
    limits = sorted({stream.limit_bytes for stream in figures.streams if stream.limit_bytes and stream.shards})
    histogram = log_histogram(figures.sizes.values, 100, limits[-1:])
    columns = [
        Column(
            count,
            f"{count:,} shards of {format_size(round(low))} to {format_size(round(high))}",
            "bar small" if high <= _SMALL_BYTES else "bar",
        )
        for count, low, high in zip(histogram.counts, histogram.edges, histogram.edges[1:], strict=False)
    ]
    marks = [Mark(histogram.place(limit), f"limit {_limit_text(limit)}") for limit in limits[-2:]]
    if histogram.edges[0] < _SMALL_BYTES < histogram.edges[-1]:
        marks.append(Mark(histogram.place(_SMALL_BYTES), "1 MB", "hint"))
    small = sum(size < _SMALL_BYTES for size in figures.sizes.values)
    hint = (
        f"Bytes on S3 of {len(figures.sizes):,} shards. Half have at most {_size(figures.sizes, 0.5)}, nine of ten at "
        f"most {_size(figures.sizes, 0.9)}."
    )
    if small:
        hint += f" {small:,} are smaller than 1 MB, the least that Redshift's documentation recommends."
    chart = columns_chart(columns, _labels(histogram, _size_label), marks=marks, what=hint)
    return card("Shard sizes", hint, chart)


def reasons_card(figures: RunFigures) -> Markup:
    """Return why shards were sealed."""
    rows: list[Markup] = []
    most = max((sealing.shards for sealing in figures.sealed_by.values()), default=1)
    for name, sealing in sorted(figures.sealed_by.items(), key=lambda item: (-item[1].shards, item[0])):
        why = SEALED_BY.get(name, "not known of this run" if not name else "")
        bar = element("span", style=f"width:{sealing.shards / most * 100:.1f}%")
        rows += [
            element("span", name or "unknown", class_="mono"),
            element("div", bar, class_="track"),
            element("span", f"{sealing.shards:,} · {format_size(sealing.object_bytes)}"),
            element("span", why, class_="why"),
        ]
    return card(
        "Why shards were sealed",
        "The number of shards, and their bytes on S3.",
        element("div", *rows, class_="reasons"),
    )


def waits_card(figures: RunFigures) -> Markup:
    """Return how long records waited until a manifest that counts listed them."""
    title, waits = "Waiting times", figures.waits
    what = "From the first record of a shard until a manifest lists it"
    if figures.waits_stored:
        what = "From the upload of a shard until the run finished, when all of its manifests begin to count"
    if not len(waits):
        return card(title, f"{what}: not known of this run.")
    histogram = seconds_histogram(waits.values)
    columns = [
        Column(count, f"{count:,} shards waited {short_seconds(low)} to {short_seconds(high)}", "bar teal")
        for count, low, high in zip(histogram.counts, histogram.edges, histogram.edges[1:], strict=False)
    ]
    marks = [
        Mark(histogram.place(waits.quantile(share)), label, "hint") for share, label in ((0.5, "half"), (0.95, "95 %"))
    ]
    hint = (
        f"{what}: half within {wait_text(waits.quantile(0.5))}, 95 % within {wait_text(waits.quantile(0.95))}, all "
        f"within {wait_text(waits.quantile(1))}."
    )
    if len(figures.upload_waits):
        hint += f" Half were in the store within {wait_text(figures.upload_waits.quantile(0.5))}."
    chart = columns_chart(columns, _labels(histogram, short_seconds), marks=marks, what=hint)
    return card(title, hint, chart)


def ratios_card(figures: RunFigures) -> Markup:
    """Return how well streams compress."""
    ratios = [stream.ratio for stream in figures.streams if stream.raw_bytes and stream.object_bytes]
    if not ratios:
        return card("Compression", "Not known of this run: its manifests do not say the bytes before compression.")
    histogram = linear_histogram(ratios)
    columns = [
        Column(count, f"{count:,} streams compress {low:.2g} to {high:.2g} fold", "bar violet")
        for count, low, high in zip(histogram.counts, histogram.edges, histogram.edges[1:], strict=False)
    ]
    hint = (
        f"{format_size(figures.raw_bytes)} became {format_size(figures.object_bytes)}, {figures.ratio:.1f} : 1. The "
        "number of streams by how well they compress."
    )
    marks = [Mark(histogram.place(figures.ratio), f"all {figures.ratio:.1f}", "hint")]
    chart = columns_chart(columns, _labels(histogram, lambda edge: f"{edge:g}"), marks=marks, what=hint)
    return card("Compression", hint, chart)


def timeline_card(figures: RunFigures) -> Markup | None:
    """Return what was written when, or of which window; None if nothing is known."""
    timeline = timeline_of(figures.windows)
    if not timeline.columns:
        return None
    span = timeline.end - timeline.begin
    labels = [
        AxisLabel(number + 0.5, moment_label(column.sums.begin, span)) for number, column in enumerate(timeline.columns)
    ]
    records = [
        Column(
            column.sums.records,
            _title(column.sums.begin, timeline, f"{column.sums.records:,} records in {column.sums.shards:,} shards"),
        )
        for column in timeline.columns
    ]
    manifests = [
        Column(
            column.sums.manifests,
            _title(column.sums.begin, timeline, f"{column.sums.manifests:,} manifests"),
            "bar violet",
        )
        for column in timeline.columns
    ]
    what = "window" if figures.has_windows else "time of the upload"
    parts = [
        element("h3", f"Records by {what}"),
        _wide(records, labels, f"records by {what}", 210.0),
    ]
    if figures.has_windows:  # else they are all written at the end
        parts += [
            element("h3", "Manifests"),
            _wide(manifests, labels, f"manifests by {what}", 120.0),
        ]
    delays = [column.delays for column in timeline.columns]
    if figures.has_windows and any(delays):
        late = [
            Column(max(found[1], 0.0), _title(column.sums.begin, timeline, _delay_text(found)), "bar teal")
            if found
            else Column(0.0, "")
            for column, found in zip(timeline.columns, delays, strict=True)
        ]
        parts += [
            element("h3", "Seconds from the end of a window until its last manifest"),
            _wide(late, labels, "delay of manifests by window", 120.0),
        ]
    return card("Timeline", _timeline_hint(figures, timeline), *parts, wide=True)


def _wide(columns: Sequence[Column], labels: Sequence[AxisLabel], what: str, height: float) -> Markup:
    chart = columns_chart(columns, labels, what=what, width=_WIDE, height=height)
    return element("div", chart, class_="scroll")


def _timeline_hint(figures: RunFigures, timeline: Timeline) -> str:
    if not figures.has_windows:
        return "When shards were stored, in UTC. The run has no windows."
    late = sum(window.panes > 0 for window in figures.windows)
    hint = f"{len(figures.windows):,} windows, in UTC; a column is {short_seconds(timeline.each_seconds)}."
    if late:
        hint += f" {late:,} were listed more than once, early or late."
    if timeline.outside:
        first = timeline.outside[0]
        hint += (
            f" {len(timeline.outside):,} far from the others are not shown, the first at {moment_text(first.begin)}."
        )
    return hint


def _title(begin: float, timeline: Timeline, text: str) -> str:
    return f"{moment_text(begin)} + {short_seconds(timeline.each_seconds)}: {text}"


def _delay_text(delays: tuple[float, float]) -> str:
    return f"first manifest {delays[0]:,.0f} s after the end, last {delays[1]:,.0f} s"


def _labels(histogram: Histogram, label: Callable[[float], str]) -> list[AxisLabel]:
    return [AxisLabel(float(number), label(edge)) for number, edge in enumerate(histogram.edges)]


def _size(sizes: Distribution, share: float) -> str:
    return format_size(round(sizes.quantile(share)))


def _size_label(edge: float) -> str:
    return format_size(round(edge)).replace(".0 ", " ")


def _limit_text(limit: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if limit % unit == 0:
            return f"{limit // unit} {name}"
    return format_size(limit)
