from __future__ import annotations

import json
import pathlib

import pytest

from beam_s3box.cli.options.shards import limits_of
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs import backfill as backfill_job
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.stream import Packing, Watching, packing_of, watching_of
from beam_s3box.jobs.options.windows import Timing, WindowSpec, timing_of
from beam_s3box.jobs.stream import PARSER
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits, limits_by_stream


def test_defaults() -> None:
    options = PARSER.parse([])
    assert watching_of(options) == Watching(10, 1, None, 86_400)
    assert timing_of(options) == Timing(WindowSpec(60, 60), None, 0, 0, None)
    assert packing_of(options) == Packing(60, 1)


def test_a_field_for_the_time_makes_windows_wait_unless_the_user_says_how_long() -> None:
    assert timing_of(PARSER.parse(["--timestamp_field=t"])).delay == 60
    assert timing_of(PARSER.parse(["--timestamp_field=t", "--watermark_delay=0"])).delay == 0
    assert timing_of(PARSER.parse(["--watermark_delay=5"])).delay == 5


def test_all_that_can_be_given() -> None:
    options = PARSER.parse(
        [
            "--poll_interval=0.5",
            "--min_age=0",
            "--stop_after=30",
            "--forget_after=3600",
            "--window=sliding:60:20",
            "--timestamp_field=t",
            "--watermark_delay=7",
            "--allowed_lateness=3.5",
            "--triggering_frequency=5",
            "--max_seconds=1.5",
            "--lanes=4",
        ]
    )
    assert watching_of(options) == Watching(0.5, 0, 30, 3_600)
    assert timing_of(options) == Timing(WindowSpec(60, 20), "t", 7, 3.5, 5)
    assert packing_of(options) == Packing(1.5, 4)


def test_seconds_have_units() -> None:
    options = PARSER.parse(
        [
            "--poll_interval=500ms",
            "--min_age=1.5 s",
            "--stop_after=2h",
            "--forget_after=7d",
            "--window=sliding:1h:10m",
            "--watermark_delay=1m",
            "--triggering_frequency=5m",
            "--max_seconds=1h",
            "--grace_seconds=2m",
            "--s3_retry_seconds=5m",
        ]
    )
    assert watching_of(options) == Watching(0.5, 1.5, 7200, 604_800)
    assert timing_of(options) == Timing(WindowSpec(3600, 600), None, 60, 0, 300)
    assert packing_of(options) == Packing(3600, 1)
    assert (given_of(options).grace_seconds, given_of(options).s3_retry_seconds) == (120, 300)


def test_no_time_limit_is_said_by_0() -> None:
    assert packing_of(PARSER.parse(["--max_seconds=0"])).seconds is None


@pytest.mark.parametrize(
    ("argument", "rule"),
    [
        ("--poll_interval=0", "above 0"),
        ("--poll_interval=nan", "be a number of seconds, or have a unit, as 30, 30s, 5m or 1h"),
        ("--stop_after=0", "above 0"),
        ("--stop_after=inf", "be a number"),
        ("--forget_after=0", "above 0"),
        ("--min_age=-1", "of at least 0"),
        ("--watermark_delay=-1", "of at least 0"),
        ("--allowed_lateness=-0.1", "of at least 0"),
        ("--allowed_lateness=inf", "be a number"),
        ("--max_seconds=-1", "of at least 0"),
        ("--max_seconds=5x", "be a number"),
        ("--triggering_frequency=0", "above 0"),
        ("--triggering_frequency=1.5s", "be a whole number of seconds"),
        ("--grace_seconds=0", "above 0"),
        ("--s3_retry_seconds=0", "above 0"),
    ],
)
def test_a_number_of_seconds_out_of_range_is_refused(argument: str, rule: str) -> None:
    name, _, value = argument.partition("=")
    with pytest.raises(ConfigurationError, match=f"^{name}: '{value}' must .*{rule}"):
        PARSER.parse([argument])


def test_an_empty_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--timestamp_field=''"):
        timing_of(PARSER.parse(["--timestamp_field="]))


def test_help_says_every_option_and_its_default() -> None:
    text = PARSER.help_asked(["--help"]) or ""
    words = " ".join(text.split())
    for part in (
        "usage: s3box stream",
        "--poll_interval SECONDS between two looks for new files, or at a queue that was empty (default: 10)",
        "(default: fixed:60)",
        "(default: 60 with --timestamp_field, else 0 for files, 2 for others)",
        "0 for no such limit (default: 60)",
        "--lanes N",
        "--triggering_frequency SECONDS",
        "--max_object_bytes SIZE",
        "--manifest_count N",
        "--checkpointing_interval MILLISECONDS",
        "--runner NAME picks the runner: PrismRunner on this machine, FlinkRunner, PortableRunner or DataflowRunner; required.",
    ):
        assert part in words
    assert text.count("\nInput:") == 1


def test_a_typo_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="did you mean --poll_interval"):
        PARSER.parse(["--poll_intervall=3"])


def test_options_of_one_job_are_none_of_the_other() -> None:
    with pytest.raises(ConfigurationError, match="--stop_after is not an option"):
        backfill_job.PARSER.parse(["--stop_after=3"])
    with pytest.raises(ConfigurationError, match="--sqs_queue is not an option"):
        backfill_job.PARSER.parse(["--sqs_queue=https://q/1/a"])


def test_the_time_limit_is_for_streams_without_one_of_their_own(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text(json.dumps({"web/*": {"max_seconds": 5}, "app/*": {"max_records": 3}}))
    limits = limits_of(given_of(PARSER.parse([f"--limits={path}"])), 30)
    by_stream = limits_by_stream(limits)
    assert by_stream(Stream("web", "a")).max_seconds == 5
    assert by_stream(Stream("app", "a")) == StreamLimits(max_records=3, max_seconds=30)
    assert by_stream(Stream("other", "a")).max_seconds == 30
    assert limits_of(given_of(PARSER.parse([])), None) == StreamLimits(max_seconds=None)
