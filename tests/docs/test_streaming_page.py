"""What the page on unbounded input says of options, arguments and reasons is so; its commands run in tests/runners."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from pathlib import Path

import pytest

from beam_s3box import StreamLimits, Tuning, WriteToS3Box
from beam_s3box.jobs.stream import PARSER
from beam_s3box.shards.packing import BY_BUNDLE_END, BY_INPUT_END, BY_MEMORY, REASONS
from beam_s3box.transforms.windowing import WindowingChoice

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
OF_OTHERS = {"--update", "--drain", "--max_bundle_size", "--max_bundle_time_mills"}
"""Of Dataflow, of `flink stop`, and of Flink's job server."""


def commands(text: str) -> list[list[str]]:
    """Return the arguments of each command of the job."""
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    job = "python -m pipelines.stream "
    return [shlex.split(line.partition(job)[2]) for line in lines if job in line]


@pytest.mark.parametrize("arguments", [*commands(PAGE), *commands(README)])
def test_the_job_takes_the_options_of_each_command(arguments: list[str]) -> None:
    assert arguments
    values = PARSER.parse(arguments).get_all_options()
    assert values["runner"] in ("PrismRunner", "FlinkRunner", "DataflowRunner")


def test_each_option_is_real() -> None:
    assert len(commands(PAGE)) == 3
    known = "".join(PARSER.help_asked([option]) or "" for option in ("--help", "--help_beam"))
    for option in set(re.findall(r"--[a-z][a-z0-9_]+", PAGE)) - OF_OTHERS:
        assert re.search(rf"{option}\b", known), option


def test_the_readme_has_the_pages_command() -> None:
    """Which is run by a test on Prism."""
    [command] = commands(README)
    assert command in commands(PAGE)


def rows_of(head: str) -> list[list[str]]:
    """Return the cells of the table that begins so."""
    table = PAGE.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_the_arguments_and_their_defaults() -> None:
    parameters = inspect.signature(WriteToS3Box).parameters
    rows = {row[0].strip("`"): row[-1] for row in rows_of("| argument ")}
    assert set(rows) - {f"limits=StreamLimits({name}=…)" for name in ("max_seconds", "lanes")} - {
        "tuning=Tuning(packing=…)"
    } <= set(parameters)
    assert rows["limits=StreamLimits(max_seconds=…)"] == f"{StreamLimits().max_seconds:g}"
    assert rows["limits=StreamLimits(lanes=…)"] == str(StreamLimits().lanes)
    assert rows["tuning=Tuning(packing=…)"] == f'`"{Tuning().packing}"`'
    for name in ("windowing", "allowed_lateness", "triggering_frequency"):
        assert parameters[name].default is None
    assert rows["allowed_lateness"] == "0"
    assert WindowingChoice(None, None, 5)._lateness_seconds() == 5 + 60


def test_every_reason_to_seal_is_named() -> None:
    streaming = {reason for row in rows_of("| `sealed_by` ") for reason in re.findall(r"`(\w+)`", row[0])}
    assert streaming | {BY_BUNDLE_END, BY_INPUT_END, BY_MEMORY} == set(REASONS)


def test_the_policy_is_json() -> None:
    [policy] = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    actions = [action for one in json.loads(policy)["Statement"] for action in [one["Action"]]]
    assert actions == [
        ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"],
        "s3:DeleteObject",
        "s3:ListBucket",
    ]
