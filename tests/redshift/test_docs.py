"""The page on Redshift: each of its commands and examples runs, its policies are JSON, its errors are real."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from beam_s3box.cli.commands.load import LOAD_PARSER
from beam_s3box.cli.commands.sql import COPY_PARSER, CREATE_PARSER
from beam_s3box.jobs import backfill as backfill_job
from beam_s3box.jobs import stream as stream_job
from beam_s3box.redshift.load.table_loads import DATA_API_MANIFESTS
from redshift_stand_in import ROLE, RedshiftStandIn
from tools.seaweedfs import seaweedfs

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "redshift.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RUN = [(language, text) for language, text in BLOCKS if language in ("bash", "python") and "make " not in text]


def _flights() -> list[bytes]:
    """Every tenth flight of two carriers: the page's commands do the same with all, and take ten times as long."""
    with gzip.open(ROOT / "examples" / "flights.jsonl.gz") as file:
        return [line for line in file if json.loads(line)["carrier"] in ("AS", "UA")][::10]


FLIGHTS = _flights()
ROWS = f"{len(FLIGHTS):,} rows of 1 manifest loaded into"


class Place:
    """A folder with servers, in which the page's commands run one after the other."""

    def __init__(self, folder: pathlib.Path, environment: dict[str, str], redshift: RedshiftStandIn) -> None:
        self.folder = folder
        self.environment = environment
        self.redshift = redshift

    def run(self, language: str, text: str) -> str:
        command = ["bash", "-ec", text] if language == "bash" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with contextlib.closing(self.redshift.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "examples").mkdir()
    flights = gzip.compress(b"".join(FLIGHTS))
    (folder / "examples" / "flights.jsonl.gz").write_bytes(flights)
    with (
        seaweedfs("demo") as s3,
        RedshiftStandIn(s3.endpoint_url, s3.reader.access_key, s3.reader.secret_key) as server,
    ):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL_S3": s3.endpoint_url,
            "AWS_ENDPOINT_URL_REDSHIFT_DATA": server.data_api_url,
            "AWS_ACCESS_KEY_ID": s3.writer.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.writer.secret_key,
            "AWS_DEFAULT_REGION": server.region,
            "REDSHIFT_DSN": f"redshift://{server.user}@{server.host}:{server.port}/{server.database}?ssl=false",
            "REDSHIFT_PASSWORD": server.password,
            "ROLE": ROLE,
            "WORKGROUP": server.workgroup,
        }
        yield Place(folder, environment, server)


def test_each_command_and_example_runs(place: Place) -> None:
    said = [place.run(language, text) for language, text in RUN]
    assert len(said) == 6
    assert f"{ROWS} public.flights" in said[0]
    assert json.loads((place.folder / "report.json").read_text())["redshift"]["loads"][0]["records"] == len(FLIGHTS)
    assert said[1] == "nothing new for public.flights: 1 manifest loaded before\n"
    assert said[2].startswith('CREATE TABLE IF NOT EXISTS "public"."flights" (')
    assert 'COPY "public"."flights" (' in said[2]
    assert said[4] == "already-loaded 0\n"
    assert said[5] == f"{ROWS} public.flights_by_api\n"
    counts = place.rows("SELECT COUNT(*) FROM flights UNION ALL SELECT COUNT(*) FROM flights_by_api")
    assert counts == [(len(FLIGHTS),)] * 2
    of_one = place.rows("SELECT COUNT(*) FROM flights WHERE carrier = 'UA' AND origin = 'EWR'")
    assert place.rows("SELECT COUNT(*) FROM ua_ewr") == of_one != [(0,)]


def test_what_is_not_run_is_shell_that_sets_what_the_rest_finds() -> None:
    [settings] = [text for language, text in BLOCKS if language == "sh"]
    names = set(re.findall(r"^export (\w+)=", settings, re.MULTILINE))
    used = set(re.findall(r"\$(\w+)|environ\[\"(\w+)\"\]", "".join(text for _, text in RUN)))
    assert {a or b for a, b in used} <= names


def test_the_policies_are_json() -> None:
    policies = [json.loads(text) for language, text in BLOCKS if language == "json"]
    assert [policy["Version"] for policy in policies] == ["2012-10-17"] * 3


def test_every_option_is_real() -> None:
    parsers = (LOAD_PARSER, COPY_PARSER, CREATE_PARSER, backfill_job.PARSER, stream_job.PARSER)
    known = "".join(parser.help_asked(["--help"]) or "" for parser in parsers)
    for option in set(re.findall(r"--[a-z0-9_]+", PAGE)):
        assert re.search(rf"{option}\b", known), option
    assert f"jobs load {DATA_API_MANIFESTS} manifests in one" in PAGE


def test_every_error_is_one_that_the_package_says() -> None:
    rows = PAGE.partition("| what it says | what to do |")[2].splitlines()[2:]
    assert len(rows) == 20
    sources = " ".join(path.read_text() for path in sorted((ROOT / "beam_s3box" / "redshift").rglob("*.py")))
    # texts over several lines of a source
    sources = re.sub(r'"\s+f?"', "", sources)
    for row in rows:
        quoted = row.split("`")[1]
        if "String length" in quoted:  # Redshift's own words, behind ours
            continue
        for part in re.split(r"\d+|…", quoted):
            assert part.strip(" ,") in sources, row
