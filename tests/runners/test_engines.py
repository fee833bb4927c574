"""The engines themselves: they run a pipeline, say what they lack, and leave nothing running."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.utils.timestamp import Timestamp

from tests.runners.engines import Engine
from tools.cache import cache_folder, made_once
from tools.flink.cluster import FlinkCluster
from tools.flink.jars import FLINK, NEWEST
from tools.java import find_java
from tools.prism import PRISM, Prism, prism_binary, prism_server
from tools.processes import MissingToolError, accepts, free_ports, running

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE_MILLIS = 180_000


def nowhere(name: str) -> None:
    """Find no program."""


@pytest.fixture
def empty_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("BEAM_S3BOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Ended(NamedTuple):
    """A pipeline that ran in a process of its own."""

    code: int
    said: str
    group: int


def run_sums(expected: str, options: list[str]) -> Ended:
    """Run the small pipeline in a process group of its own."""
    command = [sys.executable, "-m", "tests.runners.sums", expected, *options]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _, said = process.communicate(timeout=180)
    return Ended(process.returncode, said, process.pid)


def test_a_bounded_pipeline(engine: Engine) -> None:
    ended = run_sums("right", engine.options())
    assert ended.code == 0, ended.said


def test_a_wrong_result_is_a_failure(prism: Prism) -> None:
    """Else the test above could not fail."""
    ended = run_sums("wrong", prism.options())
    assert ended.code == 1
    assert "BeamAssertException" in ended.said


def test_prism_of_its_own_ends_with_the_process(prism: Prism) -> None:
    ended = run_sums("right", ["--runner=PrismRunner", f"--prism_location={prism_binary()}"])
    assert ended.code == 0, ended.said
    assert "Really starting service" in ended.said
    assert_gone(ended.group)


def test_a_task_manager_is_killed_and_the_job_drained(flink_cluster: FlinkCluster) -> None:
    rest, name = flink_cluster.rest, "killed-and-drained"
    arguments = flink_cluster.options(streaming=True, checkpoint_seconds=2)
    pipeline = beam.Pipeline(argv=[*arguments, f"--job_name={name}"])
    start = Timestamp.now()
    end = start + 45
    _ = pipeline | PeriodicImpulse(start, end, 0.5) | beam.Map(lambda at: at)
    result = pipeline.run()
    job = eventually(lambda: rest.job_named(name).id)
    assert eventually(lambda: rest.is_running(job))
    assert eventually(lambda: rest.completed_checkpoints(job) > 0)

    (busy,) = flink_cluster.busy_task_managers()
    flink_cluster.kill_task_manager(busy)
    assert eventually(lambda: rest.restored_checkpoints(job) > 0 and rest.is_running(job))
    assert busy not in flink_cluster.busy_task_managers()
    assert flink_cluster.start_task_manager() in rest.task_managers()

    # a drain waits for the end of a source, and until then Beam fills 15 MB of memory a second with its state
    assert eventually(lambda: Timestamp.now() > end)
    request = rest.drain(job)
    rest.wait_for_state(job, "FINISHED")
    assert rest.drain_failure(job, request) is None
    assert result.wait_until_finish(duration=PATIENCE_MILLIS) == PipelineState.DONE


def test_a_job_is_cancelled(flink_cluster: FlinkCluster) -> None:
    rest, name = flink_cluster.rest, "cancelled"
    pipeline = beam.Pipeline(argv=[*flink_cluster.options(streaming=True), f"--job_name={name}"])
    _ = pipeline | PeriodicImpulse(Timestamp.now(), fire_interval=1)
    result = pipeline.run()
    job = eventually(lambda: rest.job_named(name).id)
    assert eventually(lambda: rest.is_running(job))
    with pytest.raises(RuntimeError, match=f"job {job} is RUNNING, not FINISHED, without an exception"):
        rest.wait_for_state(job, "FINISHED", seconds=0)
    rest.cancel(job)
    rest.wait_for_state(job, "CANCELED")
    with pytest.raises(RuntimeError, match=r"failed in state FAILED: .*JobCancellationException: Job was cancelled"):
        result.wait_until_finish(duration=PATIENCE_MILLIS)


def test_a_group_is_gone_after_the_context(tmp_path: pathlib.Path) -> None:
    groups = []

    def interrupted() -> None:
        command = ["sh", "-c", "sleep 1000 & echo started; wait"]
        with running("sleeper", command, tmp_path / "log") as server:
            groups.append(server.process.pid)
            server.wait_until(lambda: (tmp_path / "log").read_text().index("started"), ValueError)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_gone(groups[0])


def test_a_group_is_gone_after_its_parent_was_killed(tmp_path: pathlib.Path) -> None:
    litter = tmp_path / "litter"
    litter.touch()
    script = (
        "import pathlib, os, signal\n"
        "from tools.processes import running\n"
        f"with running('sleeper', ['sleep', '1000'], pathlib.Path({str(tmp_path / 'log')!r}), [{str(litter)!r}]) as it:\n"
        "    print(it.process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert_gone(int(killed.stdout))
    assert eventually(lambda: not litter.exists(), seconds=10)


def test_prism_is_gone_after_the_context(prism: Prism, tmp_path: pathlib.Path) -> None:
    with prism_server(tmp_path) as other:
        port = int(other.job_endpoint.rpartition(":")[2])
        accepts(port)
        assert other.job_endpoint != prism.job_endpoint
    with pytest.raises(ConnectionRefusedError):
        accepts(port)


def test_what_did_not_come_up_shows_its_last_lines(tmp_path: pathlib.Path) -> None:
    (port,) = free_ports(1)
    started = time.monotonic()
    command = ["sh", "-c", "seq 100 130; echo no memory >&2; exit 3"]
    with (
        running("the engine", command, tmp_path / "log") as server,
        pytest.raises(RuntimeError, match=r"^the engine did not come up: .*refused\n112\n(\d+\n)+130\nno memory$"),
    ):
        server.wait_until(lambda: accepts(port))
    assert time.monotonic() - started < 30, "it waited for a process that had ended"


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda: prism_binary(nowhere), r"^go is not installed: .*install Go 1\.26 or newer from https://go\.dev/"),
        (lambda: FLINK[NEWEST].folder(nowhere), "^mvn is not installed: .*apt-get install maven"),
        (lambda: find_java(nowhere, {}), "^java is not installed: .*apt-get install openjdk-17-jre-headless"),
        (lambda: find_java(nowhere, {"JAVA_HOME": "/jdk"}), "^/jdk/bin/java is not installed: Flink"),
    ],
)
def test_a_missing_tool_is_named_with_the_way_out(
    empty_cache: pathlib.Path, look: Callable[[], object], message: str
) -> None:
    with pytest.raises(MissingToolError, match=message):
        look()
    assert not [path for path in empty_cache.glob("*") if path.suffix not in (".lock", ".partial")]


def test_whether_prism_is_available_is_known_without_building(empty_cache: pathlib.Path) -> None:
    assert not PRISM.is_available(nowhere)
    assert PRISM.is_available(lambda name: f"/usr/bin/{name}")
    assert not empty_cache.exists()


def test_cache_folder() -> None:
    assert cache_folder({"BEAM_S3BOX_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}) == pathlib.Path("/own")
    assert cache_folder({"XDG_CACHE_HOME": "/xdg"}) == pathlib.Path("/xdg/beam_s3box")
    for environment in ({}, {"XDG_CACHE_HOME": "xdg"}):
        assert cache_folder(environment) == pathlib.Path.home() / ".cache" / "beam_s3box"


def test_a_folder_of_the_cache_is_whole_or_not_there(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "cache" / "tool-1.2"

    def half(partial: pathlib.Path) -> None:
        (partial / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once(folder, half)
    assert not folder.exists()
    assert made_once(folder, lambda partial: (partial / "whole").touch()) == folder
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert made_once(folder, half) == folder


def test_two_builds_do_not_meet(tmp_path: pathlib.Path) -> None:
    script = (
        "import pathlib, time\n"
        "from tools.cache import made_once\n"
        "def make(partial):\n"
        "    print('made')\n"
        "    time.sleep(0.5)\n"
        f"made_once(pathlib.Path({str(tmp_path / 'tool')!r}), make)\n"
    )
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate(timeout=30)[0] for process in both) == ["", "made\n"]
    assert [process.returncode for process in both] == [0, 0]


def assert_gone(group: int) -> None:
    """Check that no process of a group is left."""

    def is_gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    assert eventually(is_gone, seconds=10), f"processes of group {group} are left"


def eventually(attempt: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what the attempt gives as soon as it is true, or what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        found = None
        try:
            found = attempt()
        except LookupError:
            if time.monotonic() > deadline:
                raise
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
