"""The page on Redshift: each of its commands and examples runs, one behind the other, and loads what the page says."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections.abc import Iterator

import pytest

from redshift_stand_in import ROLE, RedshiftStandIn
from tests.pages import ROOT, RUN, Page, Shell
from tools.seaweedfs import seaweedfs

PAGE = Page("docs/redshift.md")
FLIGHTS = [
    line
    for line in gzip.decompress((ROOT / "examples" / "flights.jsonl.gz").read_bytes()).splitlines(keepends=True)
    if json.loads(line)["carrier"] in ("AS", "UA")
][::10]
"""Every tenth flight of two carriers: the page's commands do the same with all, and take ten times as long."""
ROWS = f"{len(FLIGHTS):,} rows of 1 manifest loaded into"
BLOCKS = [block for block in PAGE.blocks(*RUN) if "make " not in block.text]


@pytest.fixture
def redshift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedshiftStandIn, Shell]]:
    with (
        seaweedfs("demo") as s3,
        RedshiftStandIn(s3.endpoint_url, s3.reader.access_key, s3.reader.secret_key) as server,
    ):
        variables = {
            "AWS_ENDPOINT_URL_REDSHIFT_DATA": server.data_api_url,
            "REDSHIFT_DSN": f"redshift://{server.user}@{server.host}:{server.port}/{server.database}?ssl=false",
            "REDSHIFT_PASSWORD": server.password,
            "ROLE": ROLE,
            "WORKGROUP": server.workgroup,
        }
        shell = Shell(tmp_path_factory.mktemp("page"), s3, **variables)
        (shell.folder / "examples" / "flights.jsonl.gz").write_bytes(gzip.compress(b"".join(FLIGHTS)))
        yield server, shell


def test_each_command_and_example_runs(redshift: tuple[RedshiftStandIn, Shell]) -> None:
    server, shell = redshift
    printed = [shell.run(block) for block in BLOCKS]
    assert len(printed) == 7
    assert f"{ROWS} public.flights" in printed[0]
    assert json.loads((shell.folder / "report.json").read_text())["redshift"]["loads"][0]["records"] == len(FLIGHTS)
    assert printed[1] == "nothing new for public.flights: 1 manifest loaded before\n"
    assert printed[2].splitlines() == [printed[1].rstrip()] * 2
    assert printed[3].startswith('CREATE TABLE IF NOT EXISTS "public"."flights" (')
    assert 'COPY "public"."flights" (' in printed[3]
    assert printed[5] == "already-loaded 0\n"
    assert printed[6] == f"{ROWS} public.flights_by_api\n"
    with contextlib.closing(server.connect()) as connection:
        cursor = connection.cursor()

        def rows(query: str) -> list[tuple[object, ...]]:
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

        counts = rows("SELECT COUNT(*) FROM flights UNION ALL SELECT COUNT(*) FROM flights_by_api")
        assert counts == [(len(FLIGHTS),)] * 2
        of_one = rows("SELECT COUNT(*) FROM flights WHERE carrier = 'UA' AND origin = 'EWR'")
        assert rows("SELECT COUNT(*) FROM ua_ewr") == of_one != [(0,)]


def test_what_the_commands_need_is_set_by_the_page() -> None:
    [settings] = PAGE.blocks("sh")
    names = set(re.findall(r"^export (\w+)=", settings.text, re.MULTILINE))
    used = set(re.findall(r"\$(\w+)|environ\[\"(\w+)\"\]", "".join(block.text for block in BLOCKS)))
    assert {a or b for a, b in used} <= names
