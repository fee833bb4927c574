"""Every command and example of the README runs, and what it says of defaults is so."""

from __future__ import annotations

import inspect
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import beam_s3box
from beam_s3box.records.encoding import REASONS
from tools.seaweedfs import Server, seaweedfs

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


@pytest.fixture(scope="module")
def demo_server() -> object:
    with seaweedfs("demo") as server:
        yield server


@pytest.fixture
def environment(demo_server: Server) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": demo_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": demo_server.writer.access_key,
        "AWS_SECRET_ACCESS_KEY": demo_server.writer.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def run(command: list[str], folder: pathlib.Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("number", range(len(blocks("bash"))))
def test_commands(number: int, tmp_path: pathlib.Path, environment: dict[str, str]) -> None:
    command = blocks("bash")[number]
    if command.startswith("make "):
        run(["bash", "-ec", command], ROOT, environment)
        return
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    run(["bash", "-ec", command], tmp_path, environment)
    if "--report" not in command:
        return
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["records_in"] == report["records_listed"] == 56_147
    assert report["dead_letters"] == 0


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_examples(number: int, tmp_path: pathlib.Path, environment: dict[str, str]) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    run([sys.executable, "-W", "error::SyntaxWarning", "-c", blocks("python")[number]], tmp_path, environment)


def test_the_policy_is_json() -> None:
    [policy] = blocks("json")
    assert json.loads(policy)["Version"] == "2012-10-17"


def test_every_option_and_name_is_real() -> None:
    known = "".join(
        subprocess.run(
            [sys.executable, "-m", *job, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for job in (("pipelines.backfill",), ("pipelines.stream",), ("beam_s3box", "pack"))
    )
    beams = {"--runner", "--direct_running_mode", "--direct_num_workers", "--setup_file"}
    beams |= {"--prism_location", "--job_server_timeout"}
    for option in set(re.findall(r"--[a-z0-9_]+", README)) - beams:
        assert option in known or option == "--s3_", option
    for reason in re.findall(r"`([a-z0-9]+-[a-z0-9-]+)`", README.partition("Reasons:")[2].partition("because COPY")[0]):
        assert reason in REASONS


def test_the_defaults_that_the_readme_names() -> None:
    limits = beam_s3box.StreamLimits()
    assert limits == beam_s3box.StreamLimits(
        max_object_bytes=64 * beam_s3box.MiB, max_raw_bytes=None, max_records=None, max_seconds=60
    )
    assert beam_s3box.Manifests() == beam_s3box.Manifests(per="stream", count=1)
    defaults = inspect.signature(beam_s3box.WriteToS3Box).parameters
    assert defaults["on_bad_record"].default == "dead_letter"
    assert defaults["run_id"].default is None
