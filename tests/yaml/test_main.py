"""Beam YAML's own command runs a pipeline with the provider, in an environment of its own: .venv-yaml.

`make test-yaml` makes the environment and sets BEAM_S3BOX_YAML=required; without that the tests are skipped where it is
missing.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from beam_s3box import S3Settings
from beam_s3box.records.encoding import VALUE_TOO_LONG
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import open_store
from tests.pages import Page
from tests.readback import read_back
from tools.seaweedfs import REGION, Server

ROOT = pathlib.Path(__file__).parents[2]
PYTHON = ROOT / ".venv-yaml" / "bin" / "python"
PIPELINE = ROOT / "pipelines" / "csv_to_s3.yaml"
REQUIRED = os.environ.get("BEAM_S3BOX_YAML") == "required"
RECORDS, BAD = 5_000, 3

pytestmark = pytest.mark.skipif(
    not REQUIRED and not PYTHON.parents[1].joinpath(".requirements").exists(),
    reason="Beam YAML is not installed yet; `make test-yaml` runs it",
)


def run(text: str, server: Server, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a pipeline as users do."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_ACCESS_KEY_ID": server.writer.access_key,
        "AWS_SECRET_ACCESS_KEY": server.writer.secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": server.endpoint_url,
    }
    command = [
        *(str(PYTHON), "-m", "apache_beam.yaml.main", f"--yaml_pipeline={text}"),
        *(f"--jinja_variables={json.dumps(variables)}", *arguments),
    ]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def write_csv(path: pathlib.Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["carrier", "origin", "i", "remark"])
        rows.writerows([f"C{i % 3}", "JFK", i, "none"] for i in range(RECORDS))
        rows.writerows(["C0", "JFK", i, "long" * 20_000] for i in range(BAD))


def lines_of(folder: pathlib.Path, name: str) -> list[dict[str, Any]]:
    paths = sorted(folder.glob(f"{name}-*"))
    assert paths, f"there are no files of {name}"
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_the_page_shows_the_pipeline() -> None:
    (block,) = Page("docs/yaml.md").blocks("yaml")
    assert PIPELINE.read_text().endswith(block.text)


def test_each_row_is_in_one_listed_shard(s3_server: Server, tmp_path: pathlib.Path) -> None:
    write_csv(tmp_path / "in.csv")
    destination = f"s3://{s3_server.bucket}/{new_token(12)}"
    notes = tmp_path / "notes"
    notes.mkdir()
    ended = run(
        PIPELINE.read_text(), s3_server, input=str(tmp_path / "in.csv"), destination=destination, notes=str(notes)
    )
    assert ended.returncode == 0, ended.stderr[-4_000:]
    store = open_store(destination, S3Settings(endpoint_url=s3_server.endpoint_url), s3_server.writer)
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(RECORDS))
    assert found.unlisted == []
    # the steps behind take batches
    noted = lines_of(notes, "manifests")
    assert sorted(row["key"] for row in noted) == sorted(found.manifests)
    assert sum(row["records"] for row in noted) == RECORDS
    bad = lines_of(notes, "bad")
    assert [row["reason"] for row in bad] == [VALUE_TOO_LONG] * BAD
    assert len(found.dead_letters) == BAD


def test_a_bad_row_fails_the_pipeline_that_does_not_handle_errors(s3_server: Server, tmp_path: pathlib.Path) -> None:
    write_csv(tmp_path / "in.csv")
    text = PIPELINE.read_text().replace(", error_handling: {output: bad}", "")
    text = text.replace("    - type: WriteToJson\n      name: BadRecords\n      input: WriteToS3Box.bad\n", "    -\n")
    start, end = text.index("    -\n"), text.index("providers:")
    destination = f"s3://{s3_server.bucket}/{new_token(12)}"
    ended = run(
        text[:start] + text[end:],
        s3_server,
        input=str(tmp_path / "in.csv"),
        destination=destination,
        notes=str(tmp_path),
    )
    assert ended.returncode == 1
    assert VALUE_TOO_LONG in ended.stderr


def test_a_wrong_field_is_named_with_the_right_one(s3_server: Server, tmp_path: pathlib.Path) -> None:
    write_csv(tmp_path / "in.csv")
    text = PIPELINE.read_text().replace("domain_field", "domain_feild")
    ended = run(text, s3_server, input=str(tmp_path / "in.csv"), destination="s3://b/p", notes=str(tmp_path))
    assert ended.returncode == 1
    assert "domain_feild is not an option: did you mean domain_field?" in ended.stderr
