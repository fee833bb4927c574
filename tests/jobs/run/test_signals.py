"""The backfill is asked to end by a signal: it ends in time, lists nothing by half, and says what counts."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from beam_s3box.cli.console.interrupts import Interrupted
from beam_s3box.engine.run_reader import find_run
from beam_s3box.jobs.run.entry import run_command
from beam_s3box.jobs.run.failures import was_interrupted
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store
from tests.readback import read_back
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import REGION, Server

ROOT = pathlib.Path(__file__).parents[3]
PATIENCE = 300.0


def mind_signals() -> None:
    """Mind what is ignored in processes that a shell starts in the background, or that `nohup` starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "code", "extra"),
    [(signal.SIGTERM, 143, ()), (signal.SIGHUP, 129, ()), (signal.SIGINT, 130, ()), (signal.SIGTERM, 143, ("--runner=DirectRunner", "--direct_running_mode=multi_threading")), (signal.SIGTERM, 143, ("--workers=2",)), (signal.SIGINT, 130, ("--workers=2",))],
)  # fmt: skip
def test_a_signal_ends_the_backfill(
    s3_server: Server, tmp_path: pathlib.Path, number: signal.Signals, code: int, extra: tuple[str, ...]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"d": f"d{i % 4}", "n": "x", "i": i}) + "\n" for i in range(3_000)))
    prefix = f"s3://{s3_server.bucket}/{new_token(12)}"
    with s3_proxy(s3_server.endpoint_url) as proxy:
        began, goes_on = threading.Event(), threading.Event()

        def hold(request: Request) -> Fault | None:
            if request.operation == "PutObject" and "/data/" in request.key:
                began.set()
                goes_on.wait(PATIENCE)
            return None

        proxy.rule = hold
        process = subprocess.Popen(
            [
                sys.executable, "-m", "pipelines.backfill", "--input", str(source), "--output", prefix,
                "--domain_field=d", "--namespace_field=n", "--max_raw_bytes=5000", "--grace_seconds=3", "--run_id=asked",
                "--s3_endpoint_url", proxy.endpoint_url, "--s3_region_name", REGION, *extra,
            ],
            cwd=ROOT,
            env={**os.environ, "AWS_ACCESS_KEY_ID": s3_server.writer.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key},
            preexec_fn=mind_signals,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert began.wait(PATIENCE)
        begun = time.monotonic()
        process.send_signal(number)
        # the system may give both to threads that handle none
        process.send_signal(number if number != signal.SIGINT else signal.SIGTERM)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            goes_on.set()
    assert (process.returncode, out) == (code, b""), err
    # on a busy machine lines of progress come first
    said = b"".join(line for line in err.splitlines(keepends=True) if b" INFO at work " not in line)
    assert said.startswith(
        b"interrupted by %s: a backfill lists its shards when all input is written" % number.name.encode()
    )
    assert b"no manifest of run asked lists does not count; start it again, under the same --run_id or a new one" in err
    assert said.count(b"\n") == 1
    assert time.monotonic() - begun < PATIENCE / 2
    store = S3Store(prefix, S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION), s3_server.writer)
    assert read_back(store).manifests == {}
    record = find_run(store, "asked").record
    assert (record.state, record.kind, record.input and record.input.files) == ("failed", "backfill", 1)
    assert str(record.error).startswith(f"Interrupted: interrupted by {number.name}: ")


def test_what_counts_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def run(arguments: object, log: object) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert run_command(run, [], owns_process=False) == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "interrupted by SIGTERM: what is not listed in a manifest does not count\n"


def test_another_sigterm_does_not_disturb_the_end() -> None:
    ended = []

    def run(arguments: object, log: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            ended.append(True)
        return 0

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert run_command(run, [], owns_process=False) == 129
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ended


@pytest.mark.parametrize(
    "text", ["Traceback\n  File x\nbeam_s3box.cli.console.interrupts.Interrupted: interrupted by SIGTERM"]
)
def test_an_interrupt_is_seen_in_what_a_runner_makes_of_it(text: str) -> None:
    assert was_interrupted(RuntimeError(text))
    assert str(Interrupted(signal.SIGHUP, "x")) == "interrupted by SIGHUP: x"
