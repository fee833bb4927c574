from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys

import pytest

from beam_s3box.jobs.run.child_output import children_silent, tracebacks_unprinted
from beam_s3box.jobs.run.logging import job_logging
from tests.jobs.conftest import ROOT


def test_messages_are_one_line_with_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    with job_logging():
        logging.getLogger("apache_beam.x").warning("low")
        logging.getLogger("apache_beam.x").info("nothing")
        logging.getLogger("beam_s3box.x").info("half way")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["WARNING low", "INFO half way"]


def test_failures_that_a_runner_also_raises_are_shown_at_debug_alone(capsys: pytest.CaptureFixture[str]) -> None:
    beam = logging.getLogger("apache_beam.runners.common")
    for level in ("warning", "debug"):
        with job_logging() as log:
            log.set_level(level)
            beam.error("it failed\nTraceback (most recent call last):\n  in %s", level)
            assert log.shows_tracebacks == (level == "debug")
    error = capsys.readouterr().err
    assert "in debug" in error
    assert "in warning" not in error


def test_servers_that_a_runner_starts_are_as_quiet_as_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    starter, worker, prism = map(
        logging.getLogger, ("apache_beam.utils.subprocess_server", "SdkWorker@1", "PrismRunner")
    )
    worker.setLevel(logging.DEBUG)  # as Beam does
    for level in ("warning", "debug"):
        with job_logging() as log:
            log.set_level(level)
            starter.warning("starting in %s", level)
            worker.info("chatter in %s", level)
            worker.warning("the user's own in %s", level)
            prism.error("stage failed in %s", level)
    lines = [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()]
    own, in_debug = "the user's own in warning", ("starting", "chatter", "the user's own", "stage failed")
    assert lines == [own, *(f"{text} in debug" for text in in_debug)]


def test_a_process_ends_without_a_word_of_the_servers_it_stops() -> None:
    program = (
        "import atexit, logging\n"
        "atexit.register(logging.getLogger('apache_beam.utils.subprocess_server').warning, 'destroying')\n"
        "from beam_s3box.jobs.run.entry import run_command\n"
        "run_command(lambda arguments, log: 0, [], owns_process=True)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")


def test_errors_of_others_are_shown_with_their_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with job_logging():
        try:
            raise ValueError("unexpected")
        except ValueError:
            logging.getLogger("beam_s3box.x").exception("it failed")
    assert "ValueError: unexpected" in capsys.readouterr().err


def test_secrets_are_masked_in_messages_and_texts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-environment")
    with job_logging() as log:
        log.mask(["the-secret-key", ""])
        logging.getLogger("x").warning("%s and %s", "the-secret-key", "token-of-the-environment")
        assert log.masked("a the-secret-key b") == "a (masked) b"
    error = capsys.readouterr().err
    assert "(masked) and (masked)" in error
    assert "the-secret-key" not in error


def test_boto_never_logs_requests(capsys: pytest.CaptureFixture[str]) -> None:
    with job_logging() as log:
        log.set_level("debug")
        logging.getLogger("botocore.auth").debug("signature")
    assert "signature" not in capsys.readouterr().err


def test_logging_is_as_before_afterwards() -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers), list(root.filters), logging.getLogger("botocore").level
    with contextlib.suppress(KeyError), job_logging() as log:
        log.set_level("debug")
        raise KeyError
    assert (root.level, root.handlers, root.filters, logging.getLogger("botocore").level) == before


def test_children_are_silent_and_this_process_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    with children_silent():
        subprocess.run(["/bin/sh", "-c", "echo child >&2"], check=True)
        print("parent", file=sys.stderr)
    os.write(2, b"after\n")
    error = capfd.readouterr().err
    assert "child" not in error
    assert error.splitlines() == ["parent", "after"]


def test_a_worker_thread_prints_no_traceback_and_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    with job_logging(), tracebacks_unprinted():
        print("Traceback (most recent call last):\n  in a worker", file=sys.stderr)
        print("a note", file=sys.stderr)
        logging.getLogger("apache_beam.x").warning("low")
        assert sys.stderr.isatty() is False
    print("Traceback (most recent call last): shown", file=sys.stderr)
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], lines[1][9:], lines[2:]) == (
        "a note",
        "WARNING low",
        ["Traceback (most recent call last): shown"],
    )
