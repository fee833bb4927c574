"""Charts as SVG, whose colours come from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from beam_s3box.runs.report.markup import Markup, element, join
from beam_s3box.runs.report.scales import ticks

_LEFT: Final = 52.0
_RIGHT: Final = 12.0
_TOP: Final = 26.0
_BOTTOM: Final = 28.0
_GAP: Final = 0.14
"""Of a column's place, that is left free."""


class Column(NamedTuple):
    """One column of a chart.

    Attributes:
      value: its height.
      title: shown where the pointer rests.
      look: a class of the style.
    """

    value: float
    title: str
    look: str = "bar"


class Mark(NamedTuple):
    """A line across a chart, such as a limit.

    Attributes:
      place: where, in columns from the left.
      label: above it.
      look: a class of the style.
    """

    place: float
    label: str
    look: str = "mark"


class AxisLabel(NamedTuple):
    """A label below a chart, at a place in columns from the left."""

    place: float
    label: str


def columns_chart(
    columns: Sequence[Column],
    labels: Sequence[AxisLabel],
    *,
    what: str,
    marks: Sequence[Mark] = (),
    width: float = 560.0,
    height: float = 230.0,
) -> Markup:
    """Return a chart of columns.

    Args:
      columns: from the left.
      labels: below them; those that would overlap are left out.
      what: the chart says, for those who can't see it.
      marks: lines across it.
      width: of the drawing.
      height: of the drawing.
    """
    steps = ticks(max((column.value for column in columns), default=0.0))
    each = (width - _LEFT - _RIGHT) / max(len(columns), 1)
    inner = height - _TOP - _BOTTOM
    bottom = height - _BOTTOM
    parts: list[Markup] = []
    for step in steps:
        y = bottom - inner * step / steps[-1]
        parts.append(element("line", x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y, class_="grid" if step else "axis"))
        parts.append(element("text", short_number(step), x=_LEFT - 8, y=y + 4, class_="tick end"))
    for number, column in enumerate(columns):
        tall = inner * column.value / steps[-1]
        if tall <= 0:
            continue
        tall = max(tall, 1.5)
        parts.append(
            element(
                "rect",
                element("title", column.title),
                x=_LEFT + each * (number + _GAP / 2),
                y=bottom - tall,
                width=max(each * (1 - _GAP), 1.0),
                height=tall,
                rx=min(2.5, each / 4),
                class_=column.look,
            )
        )
    parts += _labels(labels, each, bottom + 18, width)
    parts += _marks(marks, each, bottom, width)
    return svg(join(*parts), what, width, height)


def svg(content: Markup, what: str, width: float, height: float) -> Markup:
    """Return a drawing that is as wide as its place."""
    return element("svg", content, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=what)


def range_bar(low: float, mean: float, high: float, limit: float | None) -> Markup:
    """Return a small drawing of a range on an axis from 0 to 1, with its mean, and a limit."""
    width, height = 150.0, 16.0
    parts = [
        element("line", x1=0, x2=width, y1=height / 2, y2=height / 2, class_="grid"),
        element("rect", x=low * width, y=4.5, width=max((high - low) * width, 3.0), height=7.0, rx=3.0, class_="range"),
        element("circle", cx=min(max(mean * width, 2.0), width - 2), cy=height / 2, r=3.2, class_="dot"),
    ]
    if limit is not None:
        x = min(limit * width, width - 1)
        parts.append(element("line", x1=x, x2=x, y1=1, y2=height - 1, class_="mark"))
    return element("svg", *parts, viewBox=f"0 0 {width:g} {height:g}", class_="spark", aria_hidden="true")


def share_bar(parts: Sequence[tuple[float, str, str]]) -> Markup:
    """Return one bar of parts, each with its share, its title and its class of the style."""
    shown = [
        element("span", title=title, class_=f"part {look}", style=f"width:{max(share, 0.0) * 100:.2f}%")
        for share, title, look in parts
        if share > 0
    ]
    return element("div", *shown, class_="share")


def short_number(value: float) -> str:
    """Return a number for an axis: `800`, `12k`, `1.5M`."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.1f}{name}".replace(".0", "")
    return f"{value:g}"


def _labels(labels: Sequence[AxisLabel], each: float, y: float, width: float) -> list[Markup]:
    parts, free_from = [], -1e9
    for place, label in labels:
        x = _LEFT + each * place
        half = len(label) * 3.4
        x = min(x, width - half)
        if x - half >= free_from:
            parts.append(element("text", label, x=x, y=y, class_="tick mid"))
            free_from = x + half + 8
    return parts


def _marks(marks: Sequence[Mark], each: float, bottom: float, width: float) -> list[Markup]:
    parts, free_from = [], {0: -1e9, 1: -1e9}
    for place, label, look in sorted(marks):
        x = _LEFT + each * place
        half = len(label) * 3.4
        middle = min(max(x, half), width - half)
        # the labels of neighbours stand in two rows
        row = 0 if middle - half >= free_from[0] else 1
        free_from[row] = middle + half + 6
        parts.append(element("line", x1=x, x2=x, y1=_TOP - 4 + 11 * row, y2=bottom, class_=look))
        parts.append(element("text", label, x=middle, y=_TOP - 9 + 11 * row, class_=f"label mid {look}"))
    return parts
