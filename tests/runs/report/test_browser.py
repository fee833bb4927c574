"""The page in a real browser: what it draws, light and dark, wide and narrow, and what it does not do.

.ci/run sets BEAM_S3BOX_BROWSER=required: a machine without a browser fails then. Else the tests are skipped and say so.
"""

from __future__ import annotations

import datetime
import http.server
import os
import pathlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from beam_s3box.runs.report.gather import gather
from beam_s3box.runs.report.page import render_page
from tests.runs.report.example_runs import HOSTILE, many_shards
from tests.runs.report.test_page import ALLOWED, Parsed

NOW = datetime.datetime(2026, 11, 30, 6, 0, tzinfo=datetime.UTC)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
IS_REQUIRED = os.environ.get("BEAM_S3BOX_BROWSER") == "required"
LIGHT_PAGE, DARK_PAGE = (0xF4, 0xF6, 0xF9), (0x0D, 0x11, 0x17)
BLUE, TEAL, VIOLET, RED = (0x2F, 0x6F, 0xED), (0x0F, 0x9D, 0x8A), (0x7A, 0x5A, 0xF8), (0xD1, 0x3B, 0x3B)

pytestmark = pytest.mark.skipif(
    BROWSER is None and not IS_REQUIRED,
    reason=f"no browser: none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium fonts-dejavu-core)",
)
Picture = Callable[..., Image.Image]


def run_browser(folder: pathlib.Path, page: pathlib.Path, *arguments: str) -> str:
    assert BROWSER is not None, f"BEAM_S3BOX_BROWSER=required, and none of {', '.join(NAMES)} is installed"
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
        *(f"--user-data-dir={folder / 'profile'}", "--disable-background-networking", *arguments, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


@pytest.fixture
def take(tmp_path: pathlib.Path) -> Picture:
    """Take a picture of a page."""

    def run(page: pathlib.Path, width: int = 1280, height: int = 2_600, *, dark: bool = False) -> Image.Image:
        path = tmp_path / f"{width}-{dark}.png"
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        run_browser(tmp_path, page, f"--window-size={width},{height}", scheme, f"--screenshot={path}")
        with Image.open(path) as picture:
            return picture.convert("RGB")

    return run


@pytest.fixture(params=[True, False], ids=["bounded", "unbounded"])
def page(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "report.html"
    run = many_shards(3_000, 200, bounded=request.param)
    path.write_text(render_page(gather(run), "1.0.0", NOW), encoding="utf-8")
    return path


def pixels(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """Return how many pixels have nearly this colour."""
    masks = [
        band.point([255 * (abs(level - wanted) <= 3) for level in range(256)])
        for band, wanted in zip(picture.split(), colour, strict=True)
    ]
    from PIL import ImageChops

    both = ImageChops.darker(ImageChops.darker(masks[0], masks[1]), masks[2])
    return both.histogram()[255]


def test_the_page_is_drawn(take: Picture, page: pathlib.Path) -> None:
    picture = take(page)
    assert picture.getpixel((3, 3)) == LIGHT_PAGE
    # columns of shards, of waiting times and of ratios, and the limit
    assert pixels(picture, BLUE) > 20_000
    assert pixels(picture, TEAL) > 5_000
    assert pixels(picture, VIOLET) > 5_000
    assert pixels(picture, RED) > 200
    white = pixels(picture, (255, 255, 255))
    assert white > 0.5 * picture.width * picture.height, "cards"
    # no browser without fonts: the heading has dark pixels
    head = picture.crop((60, 40, 700, 110))
    assert pixels(head, (0x1A, 0x20, 0x29)) > 300


def test_the_page_has_a_dark_look(take: Picture, page: pathlib.Path) -> None:
    picture = take(page, dark=True)
    assert picture.getpixel((3, 3)) == DARK_PAGE
    assert pixels(picture, (255, 255, 255)) < 1_000
    assert pixels(picture, (0x6C, 0x9E, 0xFF)) > 20_000


@pytest.mark.parametrize("width", [1280, 700, 500])
def test_nothing_is_wider_than_the_window(take: Picture, page: pathlib.Path, width: int) -> None:
    picture = take(page, width, 4_000)
    edge = picture.crop((width - 8, 0, width, 4_000))
    assert edge.getcolors() == [(8 * 4_000, LIGHT_PAGE)]


def test_the_browser_finds_only_elements_of_ours(page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    found = Parsed(run_browser(tmp_path, page, "--dump-dom").replace("<tbody>", "").replace("</tbody>", ""))
    assert {tag for tag, _ in found.elements} <= ALLOWED
    assert "owned" not in found.text.split("\n")[0]
    assert "nightly-2026-11-29 · s3box" in found.text
    assert "<script>document.title='owned'</script>" in found.text


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """What a server was asked for; its address comes first."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        paths.append(f"http://127.0.0.1:{server.server_address[1]}/")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield paths
        server.shutdown()
        thread.join()


def test_no_name_makes_the_browser_fetch(asked: list[str], take: Picture, tmp_path: pathlib.Path) -> None:
    url = asked[0]
    run = many_shards(
        10,
        5,
        settings={
            "input": f'"><img src="{url}image"><script src="{url}script"></script>',
            "style": f"</dd></dl><style>body{{background:url({url}style)}}</style>",
        },
        job_name=f'<link rel="stylesheet" href="{url}link">',
    )
    path = tmp_path / "report.html"
    path.write_text(render_page(gather(run), "1.0.0", NOW), encoding="utf-8")
    take(path)
    assert asked == [url]
    # the browser does fetch where markup gets through, so the test can fail
    path.write_text(f'<img src="{url}image">')
    take(path)
    assert asked == [url, "/image"]


def test_the_hostile_names_are_in_the_example() -> None:
    assert {stream.namespace for stream in gather(many_shards(3_000, 200)).streams} >= set(HOSTILE)
