"""Draws how time and memory grow: small charts side by side, both axes logarithmic, as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

WIDTH: Final = 250
"""Of one chart, in pixels."""

HEIGHT: Final = 190
LEFT: Final = 48
TOP: Final = 34
BOTTOM: Final = 40
COLOURS: Final = ("#1b6ca8", "#c8553d", "#3a7d44")
_STYLE: Final = 'font-family="sans-serif" font-size="11" fill="#333"'


class Line(NamedTuple):
    """One line of a chart: a name and its points, with x and y above 0."""

    name: str
    points: Sequence[tuple[float, float]]


class Chart(NamedTuple):
    """One chart.

    Attributes:
      title: what is measured, with its unit.
      x: what is to the right.
      lines: at most as many as there are colours.
    """

    title: str
    x: str
    lines: Sequence[Line]


def draw(rows: Sequence[Sequence[Chart]]) -> str:
    """Return rows of charts as the text of an SVG."""
    width, height = WIDTH * max(map(len, rows)) + 10, HEIGHT * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_STYLE}>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for down, row in enumerate(rows):
        for right, chart in enumerate(row):
            parts += [f'<g transform="translate({right * WIDTH},{down * HEIGHT})">', *_chart(chart), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _chart(chart: Chart) -> list[str]:
    xs = sorted({x for line in chart.lines for x, _ in line.points})
    top = 10 ** math.ceil(math.log10(max(y for line in chart.lines for _, y in line.points)))
    low = 10 ** math.floor(math.log10(min(y for line in chart.lines for _, y in line.points)))
    decades = [low * 10**step for step in range(round(math.log10(top / low)) + 1)]

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / xs[0]) / math.log(xs[-1] / xs[0])
        up = math.log(y / low) / math.log(top / low)
        return LEFT + across * (WIDTH - LEFT - 20), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 14, chart.title, 'font-weight="bold"'), _text(LEFT, HEIGHT - 8, chart.x)]
    for y in decades:
        _, down = place(xs[0], y)
        parts.append(f'<path d="M{LEFT} {down:.1f}H{WIDTH - 20}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, down + 4, f"{y:g}", 'text-anchor="end"'))
    parts += [_text(place(x, low)[0], HEIGHT - BOTTOM + 15, _short(x), 'text-anchor="middle"') for x in xs]
    for number, (line, colour) in enumerate(zip(chart.lines, COLOURS, strict=False)):
        places = [place(*point) for point in line.points]
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for across, down in places]
        if line.name:
            parts.append(_text(LEFT + 70 * number, 28, line.name, f'style="fill:{colour}"'))
    return parts


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(text)}</text>'


def _short(number: float) -> str:
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"
