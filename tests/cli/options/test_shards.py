"""The options of a shard's format."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from beam_s3box.cli.options.shards import add_shard_arguments, format_of
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import JSON_ARRAY, AvroFormat, JsonText

SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]}


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_shard_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("format", ["json-lines", "json-array"])
def test_the_compression_level_is_that_of_the_format(format: str) -> None:
    given = format_of(parse(f"--format={format}", "--compression_level=9"))
    assert isinstance(given, JsonText)
    assert (given.name, given.compression_level) == (format, 9)


def test_avro_has_a_codec_and_no_compression_level(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    with pytest.raises(ConfigurationError, match="compression_level=9 and format='avro' are mutually exclusive"):
        format_of(parse("--format=avro", f"--avro_schema={path}", "--compression_level=9"))


def test_formats_by_option(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"web/*": SCHEMA}))
    assert format_of(parse("--format=json-array")) is JSON_ARRAY
    assert format_of(parse("--format=avro", f"--avro_schema={path}")) == AvroFormat({"web/*": SCHEMA})
    given = parse("--format=avro", f"--avro_schema={path}", "--avro_codec=null")
    assert format_of(given) == AvroFormat({"web/*": SCHEMA}, codec="null")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format=avro"], "--format=avro needs a schema"),
        (["--format=avro", "--avro_schema=/nowhere"], "avro_schema='/nowhere' can't be read"),
        (["--avro_schema=x"], "--avro_schema and --format=json-lines are mutually exclusive"),
        (["--avro_codec=null"], "--avro_codec and --format=json-lines are mutually exclusive"),
        (["--compression_level=0"], "compression_level=0 must be a whole number from 1 to 9: 1 is fastest"),
    ],
)
def test_what_can_t_work(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        format_of(parse(*arguments))
