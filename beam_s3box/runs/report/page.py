"""The page: one file of HTML, which needs no network and no script."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final

from beam_s3box.runs.report.charts import share_bar
from beam_s3box.runs.report.figures import RunFigures
from beam_s3box.runs.report.markup import Markup, element, join
from beam_s3box.runs.report.scales import wait_text
from beam_s3box.runs.report.sections import ratios_card, reasons_card, sizes_card, timeline_card, waits_card
from beam_s3box.runs.report.style import STYLE
from beam_s3box.runs.report.tables import letters_card, settings_card, streams_card
from beam_s3box.sizes import format_seconds, format_size

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser that keeps it runs no script and fetches nothing, whatever the page holds."""


_LONG: Final = 11
"""Characters of a figure that is written smaller if it has more."""


def render_page(figures: RunFigures, version: str, now: datetime.datetime) -> str:
    """Return the page of a run.

    Args:
      figures: of the run.
      version: of this package.
      now: when the page is made, in UTC.
    """
    record = figures.record
    body = element(
        "main",
        _head(figures, now),
        *_notes(figures),
        _tiles(figures),
        *_cards(figures),
        element(
            "footer",
            f"s3box report of {figures.destination}/runs/{record.run_id}.json, {now:%Y-%m-%d %H:%M:%S} UTC, "
            f"version {version}",
        ),
    )
    head = join(
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"{record.run_id} · s3box"),
        Markup(f"<style>{STYLE}</style>"),
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _head(figures: RunFigures, now: datetime.datetime) -> Markup:
    record = figures.record
    facts = {
        "destination": figures.destination,
        "written by": " ".join(filter(None, (record.kind, f"on {record.runner}" if record.runner else ""))),
        "job": record.job_name,
        "version": record.version,
        "began": record.began,
        "ended": record.ended or "",
        "took": _took(figures, now),
    }
    shown = [
        element("span", element("span", f"{name} "), element("b", value)) for name, value in facts.items() if value
    ]
    state = record.state if record.state != "running" else "running, or left unfinished"
    return join(
        element("div", "s3box report", class_="brand"),
        element(
            "div", element("h1", record.run_id), element("span", state, class_=f"pill {record.state}"), class_="head"
        ),
        element("div", *shown, class_="facts"),
    )


def _notes(figures: RunFigures) -> Iterator[Markup]:
    record = figures.record
    if record.state == "failed":
        counts = "Its manifests count as they are written." if not record.bounded else "None of its manifests counts."
        yield element(
            "div",
            element("b", "The run failed. "),
            f"{counts} ",
            element("code", record.error or ""),
            class_="note bad",
        )
    elif record.interrupted:
        yield element("div", element("b", "The input was not read to its end: "), record.interrupted, class_="note bad")
    elif record.state == "running":
        counts = (
            "None of its manifests counts until its record says finished; its shards are not looked for."
            if record.bounded
            else "What its manifests list counts already, and is shown."
        )
        yield element("div", element("b", "The run has not finished. "), counts, class_="note")
    if figures.uploads_text:
        yield element("div", element("b", "Uploads: "), f"{figures.uploads_text}.", class_="note")
    if figures.missing:
        yield element(
            "div",
            element("b", "Records do not add up: "),
            f"{figures.records_in:,} came in, {figures.records:,} are listed, and {figures.letters.records or 0:,} are "
            "dead letters. s3box verify says more.",
            class_="note bad",
        )


def _tiles(figures: RunFigures) -> Markup:
    tiles = [
        _tile("Records listed", f"{figures.records:,}", _balance(figures)),
        _tile("Shards", f"{figures.shards:,}", _mean_size(figures)),
        _tile("Data", format_size(figures.object_bytes), _compressed(figures)),
        _tile("Streams", f"{sum(1 for stream in figures.streams if stream.shards):,}", "with shards"),
        _tile("Manifests", f"{figures.manifests:,}", _windows(figures)),
    ]
    if len(figures.waits):
        worst = wait_text(figures.waits.quantile(1))
        tiles.append(_tile("Waited, half of them", wait_text(figures.waits.quantile(0.5)), f"at most {worst}"))
    parts: list[Markup] = [element("div", *tiles, class_="tiles")]
    if figures.records_in:
        letters = figures.letters.records or 0
        missing = max(figures.missing or 0, 0)
        total = max(figures.records_in, 1)
        parts.append(
            share_bar(
                (
                    (figures.records / total, f"{figures.records:,} listed", "good"),
                    (letters / total, f"{letters:,} dead letters", "bad"),
                    (missing / total, f"{missing:,} missing", "gone"),
                )
            )
        )
    return join(*parts)


def _cards(figures: RunFigures) -> Iterator[Markup]:
    charts: list[Markup | None] = []
    if figures.shards:
        charts = [sizes_card(figures), reasons_card(figures), waits_card(figures), ratios_card(figures)]
        charts += [timeline_card(figures), streams_card(figures)]
    yield element("div", *charts, letters_card(figures), settings_card(figures), class_="cards")


def _tile(name: str, value: str, sub: str) -> Markup:
    return element(
        "div",
        element("div", name, class_="name"),
        element("div", value, class_="value long" if len(value) > _LONG else "value"),
        element("div", sub, class_="sub"),
        class_="tile",
    )


def _balance(figures: RunFigures) -> str:
    letters = figures.letters.records
    known = f"{letters:,} dead letters" if letters is not None else f"{figures.letters.files:,} files of dead letters"
    if figures.records_in is None or figures.missing is None:
        return known
    return f"of {figures.records_in:,} · {known}"


def _mean_size(figures: RunFigures) -> str:
    return f"{format_size(round(figures.sizes.mean))} on average" if figures.shards else "none that count"


def _compressed(figures: RunFigures) -> str:
    return f"from {format_size(figures.raw_bytes)}, {figures.ratio:.1f} : 1" if figures.raw_bytes else "on S3"


def _windows(figures: RunFigures) -> str:
    if figures.has_windows:
        return f"of {len(figures.windows):,} windows"
    return "for COPY" if figures.manifests else "none"


def _took(figures: RunFigures, now: datetime.datetime) -> str:
    record = figures.record
    try:
        began = datetime.datetime.fromisoformat(record.began)
        ended = datetime.datetime.fromisoformat(record.ended) if record.ended else now
    except ValueError:
        return ""
    seconds = max((ended - began).total_seconds(), 0.0)
    text = format_seconds(int(seconds))
    return text if record.ended else f"{text} so far" if record.state == "running" else text
