"""Options in a file, and the options that a command would run with as such a file."""

from __future__ import annotations

import pathlib
import tomllib
from typing import Any

import pytest

from beam_s3box.cli.main import main
from beam_s3box.cli.options.pack import PACK_PARSER
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.stream import PARSER as STREAM_PARSER

TEXT = """
destination = "s3://bucket/\\u00fc"
input = ["a.jsonl", "b.jsonl"]
max-object-bytes = "10MB"
max_records = 5
s3_tags = ["a=b", "c=d"]
s3_checksums = false
quiet = true
json = false
grace_seconds = "2m"
s3_retry_seconds = 2.5
s3_endpoint_url = "http://localhost:1"
"""


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "job.toml"
    path.write_text(TEXT)
    return path


def test_a_file_has_every_option_and_the_command_line_takes_precedence(file: pathlib.Path) -> None:
    more = ["--max-records=7", "--input", "c.jsonl"]
    for given in (
        PACK_PARSER.parse([f"--config={file}", *more]),
        given_of(PARSER.parse(["--config", str(file), *more])),
    ):
        assert (given.destination, given.input, given.max_records) == ("s3://bucket/ü", ["c.jsonl"], 7)
        assert (given.max_object_bytes, given.s3_tags, given.s3_checksums) == ("10MB", "a=b,c=d", False)
        assert (given.quiet, given.json, given.grace_seconds, given.s3_retry_seconds) == (True, False, 120, 2.5)
        assert given.s3_endpoint_url == "http://localhost:1"
    assert given_of(PARSER.parse([f"--config={file}"])).input == ["a.jsonl", "b.jsonl"]


def test_a_destination_without_a_name_takes_precedence_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('destination = "memory://file"\n')
    both = ["memory://typed", f"--config={path}"]
    assert PACK_PARSER.effective(both)["destination"] == "memory://typed"
    given = PACK_PARSER.parse(both)
    assert (given.place, given.destination) == ("memory://typed", None)
    assert PACK_PARSER.parse([f"--config={path}"]).destination == "memory://file"
    given = PACK_PARSER.parse(["memory://typed", "--output=memory://other"])
    assert (given.place, given.destination) == ("memory://typed", "memory://other")


def test_a_file_for_a_job_has_beams_options_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('runner = "FlinkRunner"\nparallelism = 3\nexperiments = ["a", "b"]\nno_wait_until_finish = true\n')
    given = given_of(STREAM_PARSER.parse([f"--config={path}", "--", "--state_backend=hashmap"]))
    assert (given.runner, given.parallelism, given.experiments) == ("FlinkRunner", 3, ["a", "b"])
    assert (given.no_wait_until_finish, given.state_backend) == (True, "hashmap")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_recods = 5", "max_recods is not an option: did you mean max_records?"),
        ("zzzzz = 5", "zzzzz is not an option: see help"),
        ("config = 'x'", "config is not an option"),
        ("max_records = ", "is not TOML"),
        ("[s3]\nsse = 'x'", "s3 is not an option"),
        ("[limits]\na = 1", "must be a text, a number, true, false or a list of texts"),
        ("quiet = 'yes'", "quiet='yes' must be true or false"),
        ("max_records = 'many'", "--max_records: 'many' must be a whole number, as 1000"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: pathlib.Path, text: str, message: str) -> None:
    path = tmp_path / "job.toml"
    path.write_text(text)
    for parser in (PACK_PARSER, PARSER):
        with pytest.raises(ConfigurationError) as caught:
            parser.parse([f"--config={path}"])
        assert message in str(caught.value)


def test_a_file_that_does_not_exist_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--config=.*none\.toml. can.t be read: No such file"):
        PACK_PARSER.parse([f"--config={tmp_path}/none.toml"])
    with pytest.raises(ConfigurationError, match="--config: expected one argument"):
        PACK_PARSER.parse(["--config"])


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("pack", ["s3://b/p", "--input=a b", '--domain=é"\\x', "--max_seconds"][:3]),
        ("pack", ["--destination=s3://b/p", "--s3-checksums=false", "--limits=x.json"]),
        ("backfill", ["--destination=x", "--input=a", "--input=b", "--runner=PrismRunner", "--create_tables"]),
        ("stream", ["--output=x", "--input=a", "--window=fixed:5m", "--max_seconds=2m", "--runner=FlinkRunner"]),
        ("load", ["--redshift_table=a.b", "--redshift_iam_role=default"]),
    ],
)
def test_what_config_prints_is_a_file_that_means_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, command: str, arguments: list[str]
) -> None:
    def printed(*arguments: str) -> dict[str, Any]:
        assert main(["config", command, *arguments]) == 0
        return tomllib.loads(capsys.readouterr().out)

    values = printed(*arguments)
    assert len(values) > len(arguments)
    assert main(["config", command, *arguments]) == 0
    path = tmp_path / "again.toml"
    path.write_text(capsys.readouterr().out)
    assert printed(f"--config={path}") == values
    if command == "stream":
        assert (values["max_seconds"], values["runner"], values["destination"]) == (120, "FlinkRunner", "x")


@pytest.mark.parametrize("command", ["pack", "backfill"])
def test_config_shows_no_secret(capsys: pytest.CaptureFixture[str], command: str) -> None:
    secrets = ["--s3_access_key_id=key", "--s3_secret_access_key=hunter2", "--s3_session_token=hunter3"]
    assert main(["config", command, *secrets]) == 0
    out = capsys.readouterr().out
    assert "hunter" not in out
    assert "# s3_secret_access_key is set, and not shown" in out
    assert 's3_access_key_id = "key"' in out


@pytest.mark.parametrize(("arguments", "part"), [([], "the command is missing"), (["pakc"], "did you mean pack?")])
def test_config_needs_a_command(capsys: pytest.CaptureFixture[str], arguments: list[str], part: str) -> None:
    assert main(["config", *arguments]) == 2
    assert part in capsys.readouterr().err
