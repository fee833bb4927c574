"""The provider for Beam YAML: its fields are the options of the write, by their names; tests/yaml runs it."""

from __future__ import annotations

import inspect
import pathlib
from typing import Any

import apache_beam as beam
import pytest

from beam_s3box import ConfigurationError
from beam_s3box.cli.options.jobs import BACKFILL
from beam_s3box.cli.options.parser import actions_of
from beam_s3box.cli.options.s3 import S3_WRITING
from beam_s3box.cli.options.shards import SHARDS
from beam_s3box.jobs.yaml import WriteToS3Box

NAMES = {"domain": "d", "namespace": "n"}
FIELDS = set(inspect.signature(WriteToS3Box.__init__).parameters) - {"self"}


def test_each_option_of_the_write_is_a_field() -> None:
    of_shards = {action.dest for section in (SHARDS, S3_WRITING) for action in actions_of(section.add)}
    assert of_shards <= FIELDS
    assert {"destination", "run_id", "max_dead_letters", "domain_field", "manifest_scope", "max_seconds"} <= FIELDS
    assert {action.dest for action in BACKFILL.actions} | {"error_handling", "max_seconds", "lanes"} >= FIELDS - {
        action.dest for action in actions_of(S3_WRITING.add)
    } - {name for name in FIELDS if name.startswith("s3_")}


def test_no_field_holds_a_key() -> None:
    assert not [name for name in FIELDS if "secret" in name or "token" in name or "access_key" in name]


def test_each_field_is_described() -> None:
    for name in FIELDS:
        assert f"\n  {name}: " in (WriteToS3Box.__doc__ or ""), name


def run(destination: pathlib.Path, **fields: Any) -> dict[str, list[pathlib.Path]]:
    rows = [beam.Row(carrier=f"c{i % 2}", i=i) for i in range(10)]
    with beam.Pipeline("FnApiRunner") as pipeline:
        outputs = pipeline | beam.Create(rows) | WriteToS3Box(destination=str(destination), **fields)
        assert set(outputs) == {"shards", "manifests", *fields.get("error_handling", {}).values()}
    return {name: sorted(destination.glob(f"{name}/**/*.*")) for name in ("data", "manifests")}


def test_limits_may_be_in_the_pipeline(tmp_path: pathlib.Path) -> None:
    limits = {"c0/*": {"max_records": 1}, "*": {"max_records": 5}}
    found = run(tmp_path, domain_field="carrier", namespace="n", limits=limits, manifest_scope="run")
    assert len(found["data"]) == 6
    assert len(found["manifests"]) == 1


def test_an_avro_schema_may_be_in_the_pipeline(tmp_path: pathlib.Path) -> None:
    fields = [{"name": "carrier", "type": "string"}, {"name": "i", "type": "long"}]
    schema = {"type": "record", "name": "Row", "fields": fields}
    found = run(tmp_path, **NAMES, format="avro", avro_schema=schema, error_handling={"output": "bad"})
    assert [path.suffix for path in found["data"]] == [".avro"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_recrods": 5}, r"WriteToS3Box: max_recrods is not an option: did you mean max_records\?"),
        ({"max_records": [1, 2]}, "max_records"),
        ({"max_records": {"a": 1}}, "WriteToS3Box: max_records={'a': 1} must be a text, a number"),
        ({"error_handling": "bad"}, "error_handling='bad' must name the output of bad records"),
        ({"error_handling": {"output": "bad"}, "on_bad_record": "fail"}, "mutually exclusive"),
        ({"s3_secret_access_key": "k"}, "s3_secret_access_key is not an option"),
    ],
)
def test_what_can_not_work_is_named(fields: dict[str, object], message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WriteToS3Box(destination=str(tmp_path), **NAMES, **fields)
