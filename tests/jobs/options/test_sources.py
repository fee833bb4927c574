"""Exactly one source a job, with its own options."""

from __future__ import annotations

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.sources import FILES, KAFKA, domain_of, kind_of, pacing_of, source_timing_of
from beam_s3box.jobs.stream import PARSER
from beam_s3box.sources.watermark import Pacing

TOPIC = "--kafka_topic=t"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--input is missing: say what to read, as --input='data/.*', or --sqs_queue, or --kafka_topic"),
        (["--input=a", TOPIC], "--input and --kafka_topic are mutually exclusive: a job reads one source"),
        (["--kafka_brokers=b"], "--kafka_topic is missing: --kafka_brokers says how to read it"),
        (["--input=a", "--kafka_brokers=b"], "--kafka_brokers has no effect with --input: leave it out"),
        ([TOPIC, "--poll_interval=3"], "--poll_interval has no effect with --kafka_topic: leave it out"),
        ([TOPIC, "--path_columns"], "--path_columns has no effect with --kafka_topic"),
        (["--input=a", "--readers=2"], "--readers has no effect with --input"),
    ],
)
def test_what_can_not_work(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        kind_of(given_of(PARSER.parse(arguments)))


def test_one_source_is_chosen() -> None:
    assert kind_of(given_of(PARSER.parse(["--input=a", "--min_age=5"]))) == FILES
    assert kind_of(given_of(PARSER.parse([TOPIC, "--stop_after=5", "--readers=2"]))) == KAFKA


def test_windows_wait_for_records_whose_time_the_source_knows() -> None:
    assert source_timing_of(PARSER.parse([TOPIC])).delay == 2
    assert source_timing_of(PARSER.parse([TOPIC, "--watermark_delay=0"])).delay == 0
    assert source_timing_of(PARSER.parse([TOPIC, "--timestamp_field=t"])).delay == 60


def test_readers_keep_time_as_the_options_say() -> None:
    options = PARSER.parse([TOPIC, "--idle_timeout=30", "--stop_after=1h"])
    assert pacing_of(options, source_timing_of(options)) == Pacing(delay=2, idle=30, stop_after=3_600)


def test_the_topic_may_be_the_domain() -> None:
    assert domain_of(given_of(PARSER.parse([TOPIC]))) is None
    assert domain_of(given_of(PARSER.parse([TOPIC, "--domain_from=topic"]))) == "t"
    for other in ("--domain=a", "--domain_field=a"):
        with pytest.raises(ConfigurationError, match=r"--domain_from and --domain.* are mutually exclusive"):
            domain_of(given_of(PARSER.parse([TOPIC, "--domain_from=topic", other])))
