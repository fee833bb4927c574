from __future__ import annotations

import argparse
import json
import pathlib

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, StandardOptions

from beam_s3box.cli.options.manifests import manifests_of
from beam_s3box.cli.options.naming import naming_of
from beam_s3box.cli.options.s3 import settings_of
from beam_s3box.cli.options.shards import limits_of
from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES, Format
from beam_s3box.jobs import stream as stream_job
from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.options.parser import OptionParser, given_of
from beam_s3box.jobs.options.s3 import reading_settings_of
from beam_s3box.jobs.options.stream import Packing
from beam_s3box.jobs.options.write import write_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits, limits_by_stream


def given(arguments: list[str]) -> argparse.Namespace:
    return given_of(PARSER.parse(arguments))


def refusal(*arguments: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        PARSER.parse(arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_parse_knows_our_options_and_all_of_beams() -> None:
    options = PARSER.parse(
        ["--input=a", "--input", "b", "--runner=FlinkRunner", "--parallelism=3", "--no_wait_until_finish"]
    )
    assert given_of(options).input == ["a", "b"]
    assert options.view_as(StandardOptions).runner == "FlinkRunner"
    assert options.view_as(FlinkRunnerOptions).parallelism == 3


def test_the_runner_is_the_fast_local_one_unless_given() -> None:
    assert PARSER.parse([]).view_as(StandardOptions).runner == "FnApiRunner"


def test_options_of_all_classes_go_together_in_beams_own_parser() -> None:
    values = PARSER.parse(["--s3_tags=a=b", "--max_raw_bytes=1MB"]).get_all_options(drop_default=True)
    assert values == {"s3_tags": "a=b", "max_raw_bytes": "1MB", "runner": "FnApiRunner"}


@pytest.mark.parametrize(
    ("argument", "suggestion"),
    [
        ("--max_objct_bytes=10MB", "--max_object_bytes"),
        ("--max-objet-bytes", "--max_object_bytes"),
        ("--direct_num_worker=2", "--direct_num_workers"),
        ("-input", "--input"),
        ("--inpu", "--input"),
    ],
)
def test_a_typo_is_refused_with_what_was_meant(argument: str, suggestion: str) -> None:
    name = argument.partition("=")[0]
    assert refusal(argument) == f"{name} is not an option: did you mean {suggestion}?"


def test_what_another_command_takes_or_what_lacks_its_name_says_so() -> None:
    assert refusal("--max_seconds=5") == "--max_seconds is not an option here, but one of s3box stream"
    assert refusal("s3://box/x") == "'s3://box/x' belongs to no option: write --destination=s3://box/x"


def test_an_option_like_no_other_is_refused_with_where_to_look() -> None:
    assert "see --help and --help_beam" in refusal("--zzzzz=1")


def test_what_a_shell_made_of_a_pattern_is_told() -> None:
    assert "quote patterns" in refusal("--input", "a.jsonl", "b.jsonl")


def test_a_mistyped_secret_is_not_shown() -> None:
    assert "hunter2" not in refusal("--s3_secret_acces_key=hunter2")


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("--max_records=many", "--max_records: 'many' must be a whole number, as 1000"),
        ("--format=xml", "--format: invalid choice: 'xml'"),
        ("--input", "--input: expected one argument"),
        ("--experiments", "--experiments: expected one argument"),
    ],
)
def test_a_bad_value_is_told_in_one_line(argument: str, part: str) -> None:
    assert part in refusal(argument)


def test_what_stands_behind_two_dashes_goes_to_the_job_server() -> None:
    options = PARSER.parse(["--runner=FlinkRunner", "--", "--state_backend=hashmap"])
    retained = options.get_all_options(drop_default=True, retain_unknown_options=True)
    assert retained["state_backend"] == "hashmap"


def test_help_is_grouped_and_says_defaults_with_units() -> None:
    text = " ".join((PARSER.help_asked(["--destination=x", "--help"]) or "").split())
    for part in (
        "Input:",
        "Output:",
        "Streams:",
        "(default: 64MiB)",
        "(default: FnApiRunner)",
        "--s3_endpoint_url",
        "--s3_sse",
    ):
        assert part in text
    assert "--s3_secret_access_key" in text
    assert "--flink_master" not in text


def test_help_beam_lists_beams_options() -> None:
    text = PARSER.help_asked(["--help_beam"]) or ""
    assert "FlinkRunnerOptions:" in text
    assert "--flink_master" in text
    assert "--max_object_bytes" not in text


def test_no_help_is_given_where_none_is_asked() -> None:
    assert PARSER.help_asked(["--input=--help", "--", "--help"]) is None


def test_limits_come_from_options() -> None:
    options = PARSER.parse(["--max_object_bytes=10MB", "--max_raw_bytes=64MiB", "--max_records=5"])
    assert limits_of(given_of(options)) == StreamLimits(
        max_object_bytes=10_000_000, max_raw_bytes=64 * 2**20, max_records=5
    )
    assert limits_of(given_of(PARSER.parse([]))) == StreamLimits()


def write_limits(tmp_path: pathlib.Path, text: str) -> PipelineOptions:
    path = tmp_path / "limits.json"
    path.write_text(text)
    return PARSER.parse([f"--limits={path}", "--max_object_bytes=10MB", "--max_records=5"])


def test_entries_of_a_limits_file_take_from_the_options_what_they_leave_out(tmp_path: pathlib.Path) -> None:
    entries = {"*": {"max_records": 7}, "web/*": {"max_object_bytes": "1MB"}, "web/clicks": {"max_raw_bytes": 100000}}
    limits = limits_by_stream(limits_of(given_of(write_limits(tmp_path, json.dumps(entries)))))
    assert limits(Stream("web", "clicks")) == StreamLimits(
        max_object_bytes=10_000_000, max_raw_bytes=100_000, max_records=5
    )
    assert limits(Stream("web", "views")) == StreamLimits(max_object_bytes=1_000_000, max_records=5)
    assert limits(Stream("app", "views")) == StreamLimits(max_object_bytes=10_000_000, max_records=7)


def test_streams_without_an_entry_have_the_limits_of_the_options(tmp_path: pathlib.Path) -> None:
    limits = limits_by_stream(limits_of(given_of(write_limits(tmp_path, '{"web/*": {}}'))))
    assert limits(Stream("app", "views")) == StreamLimits(max_object_bytes=10_000_000, max_records=5)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold an object"),
        ('{"web/*": 3}', "'web/*' must be an object"),
        ('{"web/*": {"bytes": 3}}', "has 'bytes'"),
        ('{"web/*": {"max_object_bytes": 3}}', "'web/*': max_object_bytes=3 must be"),
        ('{"web/*": {"max_raw_bytes": "3X"}}', "is not a size"),
    ],
)
def test_a_bad_limits_file_is_refused(tmp_path: pathlib.Path, text: str, part: str) -> None:
    options = write_limits(tmp_path, text)
    with pytest.raises(ConfigurationError, match=r"limits\.json") as caught:
        limits_of(given_of(options))
    assert part in str(caught.value)


def test_a_missing_limits_file_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read: No such file"):
        limits_of(given_of(PARSER.parse([f"--limits={tmp_path}/none.json"])))


@pytest.mark.parametrize(
    ("arguments", "format", "expected"),
    [
        ([], JSON_LINES, Manifests("stream", 1)),
        ([], JSON_ARRAY, None),
        (["--manifest_count=0"], JSON_LINES, None),
        (["--manifest_count=0"], JSON_ARRAY, None),
        (["--manifest_count=3", "--manifest_scope=run"], JSON_LINES, Manifests("run", 3)),
        (["--manifest_scope=run"], JSON_LINES, Manifests("run", 1)),
    ],
)
def test_manifests_by_number_scope_and_format(arguments: list[str], format: Format, expected: Manifests | None) -> None:
    assert manifests_of(given_of(PARSER.parse(arguments)), format) == expected


@pytest.mark.parametrize(("number", "format"), [(-1, JSON_LINES), (2, JSON_ARRAY)])
def test_impossible_manifests_are_refused(number: int, format: Format) -> None:
    with pytest.raises(ConfigurationError, match=f"--manifest_count={number} "):
        manifests_of(given_of(PARSER.parse([f"--manifest_count={number}"])), format)


def test_settings_of_s3_come_from_both_kinds_of_options() -> None:
    settings = settings_of(
        given(
            [
                "--s3_endpoint_url=http://localhost:1",
                "--s3_region_name=eu-central-1",
                "--s3_sse=aws:kms",
                "--s3_sse_kms_key_id=alias/a",
                "--s3_storage_class=STANDARD_IA",
                "--s3_tags=team=data,cost=a=b",
                "--s3_acl=private",
                "--s3_role_arn=arn:aws:iam::123456789012:role/writer",
                "--s3_retry_seconds=2.5",
                "--s3_max_attempts=3",
                "--s3_conditional_writes=false",
                "--s3_checksums=false",
                "--s3_concurrency=4",
            ]
        )
    )
    assert (settings.endpoint_url, settings.region) == ("http://localhost:1", "eu-central-1")
    assert (settings.sse, settings.sse_kms_key_id, settings.storage_class) == ("aws:kms", "alias/a", "STANDARD_IA")
    assert (settings.tags, settings.acl) == ({"team": "data", "cost": "a=b"}, "private")
    assert settings.role_arn == "arn:aws:iam::123456789012:role/writer"
    assert (settings.retry_seconds, settings.max_attempts, settings.concurrency) == (2.5, 3, 4)
    assert (settings.conditional_writes, settings.checksums) == (False, False)


def test_a_truth_of_s3_is_true_or_false() -> None:
    with pytest.raises(ConfigurationError, match="--s3_checksums: 'maybe' must be true or false"):
        PARSER.parse(["--s3_checksums=maybe"])


def test_the_role_is_for_writing_alone() -> None:
    options = PARSER.parse(["--s3_role_arn=arn:aws:iam::123456789012:role/writer", "--s3_region_name=eu-central-1"])
    assert reading_settings_of(options).role_arn is None
    assert reading_settings_of(options).region == "eu-central-1"


@pytest.mark.parametrize("tags", ["a", "a=1,,b=2", "=1", "a=1,a=2"])
def test_bad_tags_are_refused(tags: str) -> None:
    with pytest.raises(ConfigurationError, match="--s3_tags"):
        settings_of(given([f"--s3_tags={tags}"]))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "nothing says how"),
        (["--domain=a"], "namespace is not"),
        (["--domain=a", "--domain_field=b"], "mutually exclusive"),
    ],
)
def test_a_stream_without_a_name_is_refused(arguments: list[str], part: str) -> None:
    with pytest.raises(ConfigurationError, match=part):
        naming_of(given(arguments))


def test_the_write_is_what_the_options_say() -> None:
    write = write_of(PARSER.parse(["--destination=memory://a", "--domain=b", "--namespace=c", "--run_id=r"]))
    assert (write.store.root, write.run_id) == ("memory://a", "r")
    assert (write.has_manifests, write.is_named) == (True, True)


def test_lanes_are_a_limit_of_every_stream() -> None:
    write = write_of(PARSER.parse(["--output=memory://a", "--domain=b", "--namespace=c"]), stream=Packing(60, 4))
    assert "lanes=4" in write.transform.display_data()["limits"].value


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--destination is missing"),
        (["--destination=ftp://a"], "destination='ftp://a'"),
        (["--destination=memory://a", "--run_id=a b"], "run_id='a b'"),
        (["--destination=memory://a", "--run_id="], "run_id=''"),
        (["--destination=memory://a", "--max_record_bytes=x"], "max_record_bytes='x' is not a size"),
        (["--destination=memory://a", "--s3_concurrency=0"], "concurrency=0"),
    ],
)
def test_a_write_that_can_not_work_is_refused(arguments: list[str], part: str) -> None:
    with pytest.raises(ConfigurationError, match=part):
        write_of(PARSER.parse([*arguments, "--domain=b", "--namespace=c"]))


@pytest.mark.parametrize("parser", [PARSER, stream_job.PARSER])
def test_options_reach_workers_that_get_them_as_a_dictionary(parser: OptionParser) -> None:
    """As those of Dataflow, where true is an option without a value: one that can't be read so fails every worker."""
    given = parser.parse(
        ["--input=x", "--destination=memory://x", "--domain=d", "--namespace=n", "--runner=PrismRunner"]
    )
    again = PipelineOptions.from_dictionary(given.get_all_options())
    assert again.get_all_options()["s3_checksums"] is True
