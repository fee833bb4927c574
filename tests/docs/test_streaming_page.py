"""What the page on unbounded input says of arguments and reasons is so; its commands run in tests/runners."""

from __future__ import annotations

import inspect
import re
import shlex

import pytest

from beam_s3box import StreamLimits, Tuning, WriteToS3Box
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.sources import KINESIS, QUEUE, Kind, kind_of
from beam_s3box.jobs.stream import PARSER
from beam_s3box.shards.packing import BY_BUNDLE_END, BY_INPUT_END, BY_MEMORY, REASONS
from beam_s3box.transforms.windowing import WindowingChoice
from tests.pages import Page

PAGE = Page("docs/streaming.md")


def test_the_arguments_and_their_defaults() -> None:
    parameters = inspect.signature(WriteToS3Box).parameters
    rows = {row[0].strip("`"): row[-1] for row in PAGE.rows("| argument ")}
    within = {"limits=StreamLimits(max_seconds=…)", "limits=StreamLimits(lanes=…)", "tuning=Tuning(packing=…)"}
    assert set(rows) - within <= set(parameters)
    assert rows["limits=StreamLimits(max_seconds=…)"] == f"{StreamLimits().max_seconds:g}"
    assert rows["limits=StreamLimits(lanes=…)"] == str(StreamLimits().lanes)
    assert rows["tuning=Tuning(packing=…)"] == f'`"{Tuning().packing}"`'
    for name in ("windowing", "allowed_lateness", "triggering_frequency"):
        assert parameters[name].default is None
    assert rows["allowed_lateness"] == "0"
    assert WindowingChoice(None, None, 5)._lateness_seconds() == 5 + 60


@pytest.mark.parametrize("kind", [KINESIS, QUEUE])
def test_the_commands_of_other_sources_are_understood(kind: Kind) -> None:
    command = shlex.split(PAGE.block("sh", f"--{kind.chosen_by}").text.replace("\\\n", " "))
    assert command[:2] == ["s3box", "stream"]
    options = PARSER.parse(command[2:])
    assert kind_of(given_of(options)) == kind


def test_every_reason_to_seal_is_named() -> None:
    streaming = {reason for row in PAGE.rows("| `sealed_by` ") for reason in re.findall(r"`(\w+)`", row[0])}
    assert streaming | {BY_BUNDLE_END, BY_INPUT_END, BY_MEMORY} == set(REASONS)
