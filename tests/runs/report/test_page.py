"""The page: one file without scripts or anything fetched, whatever names and records hold; small for any run."""

from __future__ import annotations

import datetime
import html.parser
import re
import time
from collections.abc import Callable

import pytest

from beam_s3box.runs.report.figures import RunFigures, WindowFigures
from beam_s3box.runs.report.gather import gather
from beam_s3box.runs.report.page import render_page
from beam_s3box.runs.report.timeline import MAX_COLUMNS, timeline_of
from tests.runs.report.example_runs import many_shards

NOW = datetime.datetime(2026, 11, 30, 6, 0, tzinfo=datetime.UTC)
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "footer", "div", "span", "p", "b"),
    *("h1", "h2", "h3", "code", "pre", "table", "tr", "th", "td", "details", "summary", "dl", "dt", "dd"),
    *("svg", "rect", "line", "text", "circle"),
}


class Parsed(html.parser.HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


@pytest.fixture(params=[True, False], ids=["bounded", "unbounded"])
def figures(request: pytest.FixtureRequest) -> RunFigures:
    return gather(many_shards(3_000, 200, bounded=request.param))


def test_whatever_names_are_the_page_has_only_elements_of_ours(figures: RunFigures) -> None:
    page = render_page(figures, "1.0.0", NOW)
    parsed = Parsed(page)
    assert parsed.open == []
    assert {tag for tag, _ in parsed.elements} <= ALLOWED
    for _, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "srcset")]
    # what others chose is there to read, and nothing of it is obeyed
    assert "<script>document.title='owned'" in parsed.text
    assert "\\u202egnp.exe\\u2066\\x1b]0;owned\\x07\\x00" in parsed.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)
    assert page.count("<style>") == 1


def test_the_page_fetches_nothing(figures: RunFigures) -> None:
    page = render_page(figures, "1.0.0", NOW)
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"https?://|url\(|@import|<link", page)


def test_the_page_says_what_the_figures_are(figures: RunFigures) -> None:
    text = Parsed(render_page(figures, "1.0.0", NOW)).text
    for part in ("nightly-2026-11-29", "finished", f"{figures.records:,}", "3,000", "limit 64 MiB", "on FlinkRunner"):
        assert part in text
    assert "missing-stream" in text
    assert "1,203" in text
    assert "… and 160 more" in text
    assert "Records do not add up" in text, "the record of the example says that more came in"


def test_100_000_shards_of_10_000_streams_are_a_small_page_in_little_time() -> None:
    begun = time.process_time()
    figures = gather(many_shards(100_000, 10_000, bounded=False))
    page = render_page(figures, "1.0.0", NOW)
    assert time.process_time() - begun < 30
    assert len(page) < 400_000
    assert len(figures.streams) == 10_000
    assert sum(stream.shards for stream in figures.streams) == len(figures.sizes) == 100_000
    text = Parsed(page).text
    assert "… and 9,960 more" in text
    assert "events-00100" in text, "those without a row are named"


@pytest.mark.parametrize(
    ("state", "bounded", "parts"),
    [
        ("failed", True, ["The run failed", "None of its manifests counts", "AccessDenied"]),
        ("running", True, ["has not finished", "None of its manifests counts"]),
        ("running", False, ["has not finished", "counts already"]),
    ],
)
def test_a_run_without_end(state: str, bounded: bool, parts: list[str]) -> None:
    run = many_shards(
        0 if bounded else 50,
        5,
        bounded=bounded,
        state=state,
        ended=None,
        input=None,
        streams=(),
        error="AccessDenied <b>" if state == "failed" else None,
    )
    parsed = Parsed(render_page(gather(run), "1.0.0", NOW))
    for part in parts:
        assert part in parsed.text
    assert {tag for tag, _ in parsed.elements} <= ALLOWED


def windows(*minutes: float) -> list[WindowFigures]:
    return [WindowFigures(60 * minute, 60 * minute + 60, records=1, manifests=1) for minute in minutes]


def test_a_timeline_has_whole_windows_in_its_columns() -> None:
    timeline = timeline_of(windows(*range(1_000)))
    assert len(timeline.columns) <= MAX_COLUMNS
    assert {column.sums.records for column in timeline.columns[:-1]} == {timeline.each_seconds / 60}
    assert sum(column.sums.records for column in timeline.columns) == 1_000


def test_a_wrong_clock_does_not_stretch_a_timeline() -> None:
    timeline = timeline_of(windows(-20_000_000, *range(100), 9_000_000))
    assert len(timeline.outside) == 2
    assert timeline.end - timeline.begin == 6_000
    assert timeline_of(windows(*range(100))).outside == ()


@pytest.mark.parametrize("build", [lambda: windows(), lambda: windows(3), lambda: windows(3, 9)])
def test_a_timeline_of_few_windows(build: Callable[[], list[WindowFigures]]) -> None:
    found = build()
    assert sum(column.sums.records for column in timeline_of(found).columns) == len(found)
