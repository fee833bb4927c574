"""What README.md and docs/ say is so: blocks run, and options, links, tests and messages exist."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

import beam_s3box
from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.jobs import backfill, stream
from beam_s3box.records.encoding import REASONS
from beam_s3box.redshift.load.table_loads import DATA_API_MANIFESTS
from beam_s3box.shards import packing
from tests.pages import ROOT, RUN, Page, Shell, matches
from tools.seaweedfs import Server, seaweedfs


class Parser(Protocol):
    """Reads the options of a command."""

    def parse(self, arguments: Sequence[str]) -> object: ...
    def help_asked(self, arguments: Sequence[str]) -> str | None: ...


PARSERS: dict[str, Parser] = {
    **{name: command.parser for name, command in COMMANDS.items()},
    "backfill": backfill.PARSER,
    "stream": stream.PARSER,
}
NAMES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PAGES = {name: Page(name) for name in NAMES}
ELSEWHERE = {
    "docs/emr-eks-dataflow.md": "tests/runners/test_spark.py",
    "docs/redshift.md": "tests/redshift/test_docs.py",
    "docs/streaming.md": "tests/runners/test_streaming_commands.py",
}
"""Pages whose blocks need more than S3, and what runs them."""
OF_OTHERS = {
    *("--update", "--drain", "--max_bundle_size", "--max_bundle_time_mills", "--no-deps", "--version"),
    *(
        "--spark-master-url",
        "--cache_disabled",
        "--flink-master",
        "--job-host",
        "--job-port",
        "--artifact-port",
        "--expansion-port",
    ),
    *("--files_to_stage", "--add-opens", "--service_port", "--yaml_pipeline_file", "--jinja_variables"),
}
"""Of Dataflow, of `flink stop`, of job servers, of pip, of Beam's other commands; and what every command has."""

each_page = pytest.mark.parametrize("page", PAGES.values(), ids=NAMES)


@pytest.fixture(scope="module")
def demo_server() -> Iterator[Server]:
    with seaweedfs("demo") as server:
        yield server


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE and PAGES[name].blocks(*RUN)])
def test_the_blocks_of_a_page_run(name: str, demo_server: Server, tmp_path: Path) -> None:
    shell = Shell(tmp_path, demo_server, S3_UPLOADER_BUCKET="demo")
    printed = ""
    for block in PAGES[name].blocks(*RUN, "text", "toml"):
        if block.language == "text":
            assert matches(block.text, printed), f"{block.where}: printed was\n{printed}"
        elif block.language == "toml":
            (tmp_path / block.text.split()[1]).write_text(block.text)
        elif not block.text.startswith("make "):
            printed = shell.run(block)
    for report in tmp_path.glob("report.json"):
        totals = json.loads(report.read_text())
        assert totals["records_in"] == totals["records_listed"] == 56_147
        assert totals["dead_letters"] == 0


MAKE = sorted(
    {
        line
        for page in PAGES.values()
        for block in page.blocks("bash")
        for line in block.text.splitlines()
        if line.startswith("make ")
    }
)


@pytest.mark.parametrize("command", MAKE)
def test_make_runs(command: str) -> None:
    done = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]


def test_other_tests_run_the_other_pages() -> None:
    for name, test in ELSEWHERE.items():
        assert f'Page("{name}")' in (ROOT / test).read_text(encoding="utf-8")


@each_page
def test_what_is_not_run_is_still_read(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in page.blocks("json"):
        json.loads(block.text)
    for block in page.blocks("toml"):
        (tmp_path / block.text.split()[1]).write_text(block.text)
    for block in page.blocks("py"):
        compile(block.text, block.where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for block in page.blocks("sh", "bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for name, arguments in re.findall(r"\bs3box (?!config|completion)([a-z-]+) ([^|]*)", line):
                PARSERS[name].parse(shlex.split(arguments, comments=True))


@functools.cache
def known_options() -> str:
    jobs = [parser.help_asked([option]) or "" for parser in PARSERS.values() for option in ("--help", "--help_beam")]
    return "".join(jobs)


@each_page
def test_each_option_exists(page: Page) -> None:
    for option in {f"--{option[2:].replace('-', '_')}" for option in page.options - OF_OTHERS}:
        assert re.search(rf"{option}\b", known_options()), option


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", [*NAMES, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"])
def test_each_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", Page(name).text):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), f"{name}: {target}"
        if name.startswith("docs/") and path:
            assert found.parent == ROOT / "docs", f"{name}: {target} is not in the HTML pages"
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), f"{name}: {target}"


@each_page
def test_each_test_that_is_named_exists(page: Page) -> None:
    for path, name in re.findall(r"(tests/[\w/]+\.py)(?:::(test_\w+))?", page.text):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8") if name else (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("name", "head", "folder"),
    [
        ("docs/migrating-from-s3box.md", "| Go ", "tests/box"),
        ("docs/migrating-from-node-s3-file-buffer.md", "| there ", "tests/streamer"),
    ],
)
def test_each_row_of_a_migration_names_its_tests(name: str, head: str, folder: str) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / folder).glob("test_*.py"))
    rows = PAGES[name].rows(head)
    assert len(rows) >= 18
    for row in rows:
        named = re.findall(r"`((?:tests/|test_)[\w/.]+)`", row[-1])
        assert named, row
        for test in named:
            assert f"def {test}(" in sources or (ROOT / test).is_file(), test


@functools.cache
def texts() -> list[str]:
    """Return all texts of the package, with `…` for what is put into them."""
    nodes = [
        node for path in sorted((ROOT / "beam_s3box").rglob("*.py")) for node in ast.walk(ast.parse(path.read_text()))
    ]
    found = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
            found.append("".join(parts))
    return found


TROUBLES = [row[0] for row in re.findall(r"^\| (.*?) \| (.*) \|$", PAGES["docs/troubleshooting.md"].text, re.MULTILINE)]


@pytest.mark.parametrize("trouble", [row for row in TROUBLES if "`" in row])
def test_each_message_exists(trouble: str) -> None:
    message = trouble.split("`")[1]
    assert [text for text in texts() if message in text]


def test_the_defaults_that_the_pages_name() -> None:
    limits = beam_s3box.StreamLimits()
    rows = {row[0].strip("`"): row for row in PAGES["docs/limits-and-shards.md"].rows("| `StreamLimits(…)` ")}
    shown = {"max_object_bytes": "64 MiB", "max_raw_bytes": "none", "max_records": "none", "max_seconds": "60"}
    assert {name: row[-1] for name, row in rows.items()} == shown
    assert limits == beam_s3box.StreamLimits(64 * beam_s3box.MiB, None, None, 60)
    assert beam_s3box.Manifests() == beam_s3box.Manifests(per="stream", count=1)
    defaults = inspect.signature(beam_s3box.WriteToS3Box).parameters
    assert defaults["on_bad_record"].default == "dead_letter"
    assert defaults["run_id"].default is None


def test_each_reason_is_explained() -> None:
    reasons = [row[0].strip("`") for row in PAGES["docs/dead-letters.md"].rows("| reason ")]
    assert sorted(reasons) == sorted(REASONS)
    rows = PAGES["docs/limits-and-shards.md"].rows("| `sealed_by` ")
    assert {word for row in rows for word in re.findall(r"`(\w+)`", row[0])} == set(packing.REASONS)


def test_what_the_redshift_page_counts() -> None:
    assert f"jobs load {DATA_API_MANIFESTS} manifests in one" in PAGES["docs/redshift.md"].text


def test_the_readme_is_one_screen() -> None:
    assert len(PAGES["README.md"].text.split()) <= 600
