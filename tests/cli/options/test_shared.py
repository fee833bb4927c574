"""One text, one default: what both command lines take is described in one place, and neither needs the other's libraries."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.cli.options.jobs import add_flink_arguments, add_format_arguments, add_redshift_arguments
from beam_s3box.cli.options.pack import PACK_PARSER
from beam_s3box.cli.options.parser import actions_of
from beam_s3box.cli.options.s3 import (
    add_s3_reaching_arguments,
    credentials_of,
    input_settings_of,
    reading_settings_of,
    settings_of,
)
from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.stores import S3Settings
from tests.cli.conftest import ROOT

ROLE = "arn:aws:iam::123456789012:role/writer"
OWN_OF_THE_BACKFILL = {
    *(f"--{action.dest}" for action in actions_of(add_format_arguments)),
    # `s3box load` has them for those who pack without Beam
    *(f"--{action.dest}" for action in actions_of(add_redshift_arguments)),
    *(f"--{action.dest}" for action in actions_of(add_flink_arguments)),
    "--workers",
} - {"--input_format"}
_OPTION = re.compile(r"^  (--\w+)(.*?)(?=^  \S|^\S|\Z)", re.MULTILINE | re.DOTALL)


def options_in(text: str) -> dict[str, str]:
    return {name: " ".join(rest.split()) for name, rest in _OPTION.findall(text)}


def test_every_shared_option_has_the_same_help_and_default() -> None:
    ours = options_in(PACK_PARSER.help_asked(["-h"]) or "")
    theirs = options_in((PARSER.help_asked(["-h"]) or "").partition("\nBeam:")[0])
    assert set(theirs) - set(ours) == OWN_OF_THE_BACKFILL
    assert set(ours) <= set(theirs)
    for name in set(ours) - {"--input", "--input_format"}:
        assert ours[name] == theirs[name], name


def test_values_that_nobody_gave_are_the_same() -> None:
    pack = vars(PACK_PARSER.parse([]))
    backfill = PARSER.parse([]).get_all_options()
    shared = set(pack) - {"place", "config"}
    assert shared <= set(backfill)
    assert {name: pack[name] for name in shared} == {name: backfill[name] for name in shared}


def test_the_options_that_reach_s3_are_named_as_beams() -> None:
    ours = {action.dest for action in actions_of(add_s3_reaching_arguments)}
    theirs = set(PipelineOptions([]).view_as(S3Options).get_all_options(current_only=True))
    assert ours == theirs - {"s3_api_version"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--s3_endpoint_url=http://localhost:1", "--s3_region_name=eu-central-1", "--s3_verify=False"],
        ["--s3_verify=/etc/certificates", "--s3_disable_ssl", "--s3_tags=a=b,c=d", "--s3_max_attempts=3"],
        ["--s3_verify=1", "--s3_sse=aws:kms", "--s3_sse_kms_key_id=k", "--s3_concurrency=2", "--s3_acl=private"],
        ["--s3_retry_seconds=30", "--s3_conditional_writes=false", "--s3_checksums=FALSE"],
    ],
)
def test_both_make_the_same_settings_of_s3(arguments: list[str]) -> None:
    settings = settings_of(PACK_PARSER.parse(arguments))
    assert settings == settings_of(given_of(PARSER.parse(arguments)))
    assert (settings == S3Settings()) == (not arguments)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"plan"}))
def test_every_command_at_a_destination_can_assume_the_role(name: str) -> None:
    parser = COMMANDS[name].parser
    assert {"s3_role_arn", "s3_retry_seconds", "s3_max_attempts"} <= {action.dest for action in parser.actions}
    if not COMMANDS[name].is_job:
        given = parser.parse([f"--s3_role_arn={ROLE}", "--s3_retry_seconds=7", "--s3_max_attempts=3"])
        assert reading_settings_of(given) == S3Settings(role_arn=ROLE, retry_seconds=7, max_attempts=3)
        assert input_settings_of(given) == S3Settings()


def test_keys_come_from_the_options_or_from_boto3() -> None:
    assert credentials_of(PACK_PARSER.parse([])) is None
    given = PACK_PARSER.parse(["--s3_access_key_id=a-key", "--s3_secret_access_key=a-secret", "--s3_session_token=t"])
    find = credentials_of(given)
    assert find is not None
    assert (find().access_key, find().secret_key, find().token) == ("a-key", "a-secret", "t")
    assert "a-secret" not in repr(find())


def test_help_is_grouped_and_says_defaults_with_units() -> None:
    text = " ".join((PACK_PARSER.help_asked(["s3://b/p", "--help"]) or "").split())
    for part in ("usage: s3box pack DESTINATION", "Input:", "Output:", "Streams:", "(default: 64MiB)", "--s3_sse"):
        assert part in text
    assert "Beam" not in text


@pytest.mark.parametrize("arguments", [["-h"], ["memory://x", "--domain=d", "--namespace=n"]])
def test_beam_is_not_imported(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "beam_s3box", "pack", *arguments],
        cwd=ROOT,
        input=b'{"i":1}\n',
        capture_output=True,
        check=True,
    )
    assert b"beam_s3box.cli.options.manifests" in done.stderr
    assert b"apache_beam" not in done.stderr
    assert b"beam_s3box.jobs" not in done.stderr
