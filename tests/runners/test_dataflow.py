"""Both jobs on the real DataflowRunner, which translates and stages them into templates; no service takes part.

What it staged is opened: names of steps, state, timers and windows in the pipeline, the package of `--setup_file`. And it
is loaded, the backfill also run, by a process that has nothing of ours but that package.
"""

from __future__ import annotations

import collections
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from beam_s3box import S3Settings
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import open_store
from tests.readback import read_back
from tools.dataflow.environment import GOOGLE_SECRETS, gcp_program
from tools.dataflow.launch import IMAGE, Launched, Launcher
from tools.dataflow.template import Template, Windowing
from tools.dataflow.worker import PACKAGE, Worker
from tools.processes import MissingToolError
from tools.seaweedfs import REGION, Server

ROOT = Path(__file__).parents[2]
WRITE = "WriteToS3Box"
PACK = f"{WRITE}/PackShards/Pack"
STREAM_OPTIONS = (
    "--timestamp_field=t",
    "--window=fixed:60",
    "--allowed_lateness=30",
    "--triggering_frequency=10",
    "--max_seconds=20",
    "--poll_interval=5",
    "--lanes=2",
)


class Staged(NamedTuple):
    """A job that was launched, and what it left.

    Attributes:
      launched: how it ended.
      template: what it staged.
      output: where it writes.
    """

    launched: Launched
    template: Template
    output: str


@pytest.fixture(scope="module")
def s3(s3_server: Server) -> tuple[str, ...]:
    """Options of both jobs: 40 records of four streams on S3."""
    lines = "".join(json.dumps({"d": f"d{i % 2}", "n": f"n{i % 4}", "i": i, "t": i}) + "\n" for i in range(40))
    s3_server.client().put_object(Bucket=s3_server.bucket, Key="landing/records.jsonl", Body=lines.encode())
    return (
        f"--input=s3://{s3_server.bucket}/landing/*.jsonl",
        "--domain_field=d",
        "--namespace_field=n",
        f"--s3_endpoint_url={s3_server.endpoint_url}",
        f"--s3_region_name={REGION}",
    )


def stage(dataflow: Launcher, job: str, output: str, *arguments: str) -> Staged:
    launched = dataflow.stage(job, f"the-{job}", f"--destination={output}", *arguments)
    assert launched.code == 0, launched.output
    return Staged(launched, dataflow.template(launched), output)


@pytest.fixture(scope="module")
def backfill(dataflow: Launcher, s3: tuple[str, ...], s3_server: Server) -> Staged:
    return stage(dataflow, "backfill", f"s3://{s3_server.bucket}/{new_token(12)}", *s3)


@pytest.fixture(scope="module")
def stream(dataflow: Launcher, s3: tuple[str, ...], s3_server: Server) -> Staged:
    return stage(dataflow, "stream", f"s3://{s3_server.bucket}/{new_token(12)}", *s3, *STREAM_OPTIONS)


@pytest.fixture(params=["backfill", "stream"])
def staged(request: pytest.FixtureRequest, dataflow: Launcher) -> Staged:
    """Each job in turn."""
    found: Staged = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def worker(staged: Staged, tmp_path: Path, engine_keys: dict[str, str]) -> Worker:
    return Worker(staged.template, tmp_path, engine_keys)


def test_an_environment_that_is_not_built_is_missed_with_the_way_out(tmp_path: Path) -> None:
    half_built = tmp_path / ".venv-gcp" / "bin"
    half_built.mkdir(parents=True)
    (half_built / "python").touch()
    with pytest.raises(MissingToolError, match=r"make \.venv-gcp/\.requirements"):
        gcp_program("python", tmp_path)


def test_the_job_succeeds_and_says_where_its_template_is(staged: Staged) -> None:
    assert staged.launched.output.splitlines()[-1] == f"template {staged.launched.template}"


def test_job_types(backfill: Staged, stream: Staged) -> None:
    assert backfill.template.job["type"] == "JOB_TYPE_BATCH"
    assert stream.template.job["type"] == "JOB_TYPE_STREAMING"
    for job in (backfill.template.job, stream.template.job):
        assert "use_runner_v2" in job["environment"]["experiments"]
        assert [pool["workerHarnessContainerImage"] for pool in job["environment"]["workerPools"]] == [IMAGE]
    assert "enable_streaming_engine" in stream.template.job["environment"]["experiments"]


def test_step_names_are_unique(staged: Staged) -> None:
    names = staged.template.step_names()
    assert {WRITE, f"{WRITE}/UploadWhole"} <= set(names)
    assert [name for name, times in collections.Counter(names).items() if times > 1] == []


def test_no_step_is_named_after_a_lambda_of_ours(staged: Staged) -> None:
    """Beam's own are left: it has frozen them."""
    ours = {path.name for path in (ROOT / "beam_s3box").rglob("*.py")}
    lambdas = re.findall(r"<lambda at ([^:>]+)", "\n".join(staged.template.step_names()))
    assert ours.isdisjoint(lambdas)
    assert not any("<lambda>" in name for name in staged.template.step_names())


@pytest.mark.parametrize("job", ["backfill", "stream"])
def test_the_same_command_makes_the_same_steps(
    request: pytest.FixtureRequest, dataflow: Launcher, s3: tuple[str, ...], job: str
) -> None:
    """A streaming job is replaced by one with the same names, state and timers, or it loses what it holds."""
    first: Staged = request.getfixturevalue(job)
    options = STREAM_OPTIONS if job == "stream" else ()
    again = stage(dataflow, job, first.output, *s3, *options)
    assert again.template.steps() == first.template.steps()


def test_the_backfill_has_neither_state_nor_timers(backfill: Staged) -> None:
    steps = backfill.template.steps()
    assert len(steps) > 20
    assert {name: step for name, step in steps.items() if step.states or step.timers} == {}
    assert {step.windowing.windows for step in steps.values() if step.windowing} == {"GlobalWindows()"}


def test_the_state_of_the_stream(stream: Staged) -> None:
    """That of the packer, and the number of each stream's firings."""
    steps = stream.template.steps()
    stateful = {name: (step.states, step.timers) for name, step in steps.items() if step.states or step.timers}
    assert stateful == {
        PACK: (
            {"arrived": "read_modify_write_spec", "buffer": "read_modify_write_spec", "segments": "bag_spec"},
            {"age": "PROCESSING_TIME", "end": "EVENT_TIME", "forget": "EVENT_TIME"},
        ),
        f"{WRITE}/WriteManifests/WriteFirings": ({"lineage": "read_modify_write_spec"}, {}),
    }


def test_windows_of_the_stream(stream: Staged) -> None:
    """The packer's state is in the global window: in the records' own it would hold manifests back."""
    firings = "AfterWatermark(early=AfterProcessingTime(delay=10), late=AfterCount(1))"
    panes = Windowing("FixedWindows(60)", firings, is_discarding=True, lateness=4230.0)
    each = Windowing("GlobalWindows()", "Repeatedly(AfterCount(1))", is_discarding=True, lateness=0.0)
    steps = stream.template.steps()
    assert steps[f"{WRITE}/EncodeSegments"].windowing == panes
    assert steps[PACK].windowing == each
    manifests = steps[f"{WRITE}/WriteManifests/GroupFiles"]
    assert manifests.urn == "beam:transform:group_by_key:v1"
    assert manifests.windowing == panes


def test_the_package_is_staged_whole(staged: Staged) -> None:
    file = staged.template.files()[PACKAGE]
    assert hashlib.sha256(file.body).hexdigest() == file.sha256
    with tarfile.open(fileobj=io.BytesIO(file.body)) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    ours = list((ROOT / "beam_s3box").rglob("*.py"))
    assert {str(path.relative_to(ROOT)) for path in ours} <= packed
    assert "beam_s3box/py.typed" in packed
    assert not any(name.startswith(("redshift_stand_in", "tests", "tools")) for name in packed)


def test_a_worker_with_the_package_alone_loads_the_pipeline(staged: Staged, worker: Worker) -> None:
    loaded = worker.load()
    assert loaded.package.is_relative_to(worker.installed)
    assert loaded.modules[f"{WRITE}/UploadWhole"] == "beam_s3box.transforms.upload"
    # __main__ would be the launcher's: a worker has another one
    packages = {module.partition(".")[0] for module in loaded.modules.values()}
    assert packages == {"apache_beam", "beam_s3box"}


def test_the_staged_backfill_does_its_job(
    backfill: Staged, s3_server: Server, tmp_path: Path, engine_keys: dict[str, str]
) -> None:
    Worker(backfill.template, tmp_path, engine_keys).run()
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    found = read_back(open_store(backfill.output, settings, s3_server.admin))
    assert sorted(record["i"] for record in found.all_records()) == list(range(40))
    assert found.unlisted == []


def test_no_credentials_leave_the_launcher(staged: Staged, s3_server: Server) -> None:
    writer, texts = s3_server.writer, list(staged.template.texts())
    # the search does find what is staged, within pickles too: the plan of each step says where to
    folder = staged.output.rpartition("/")[2].encode()
    assert sum(folder in text and b"WritePlan" in text for text in texts) > 5
    for secret in (writer.access_key, writer.secret_key, *GOOGLE_SECRETS):
        assert not any(secret.encode() in text for text in texts)
        assert secret not in staged.launched.output


@pytest.mark.parametrize("name", ["s3_secret_access_key", "s3_session_token"])
def test_keys_among_the_options_are_rejected(
    dataflow: Launcher, s3: tuple[str, ...], s3_server: Server, name: str
) -> None:
    """DataflowRunner writes all options into the job's description."""
    launched = dataflow.stage(
        "backfill",
        "the-keys",
        f"--destination=s3://{s3_server.bucket}/keys",
        *s3,
        "--s3_access_key_id=id",
        f"--{name}=shown",
    )
    assert launched.code == 2
    assert f"--{name} would be in the description of the Dataflow job" in launched.output
    assert "shown" not in launched.output
