from __future__ import annotations

import pytest

from beam_s3box.errors import StoreError, TransientStoreError
from beam_s3box.jobs.run.failures import reason_of, was_interrupted

REASON = "PutObject s3://b/k failed after 3 attempts: SlowDown (503)"
REMOTE = f"""Traceback (most recent call last):
  File "x.py", line 1, in process
beam_s3box.errors.TransientStoreError: {REASON}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "sdk_worker.py", line 310, in _execute
beam_s3box.errors.TransientStoreError: {REASON} [while running 'WriteToS3Box/UploadWhole']
"""


def test_the_step_is_left_out_of_our_own_error() -> None:
    assert reason_of(StoreError(f"{REASON} [while running 'WriteToS3Box/UploadWhole']")) == REASON


def test_our_error_is_found_in_the_text_of_a_remote_traceback() -> None:
    assert reason_of(RuntimeError(REMOTE)) == REASON


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_our_error_is_found_in_the_chain(link: str) -> None:
    error = RuntimeError("bundle failed")
    setattr(error, link, TransientStoreError(REASON))
    assert reason_of(error) == REASON


def test_another_error_is_told_by_its_last_line() -> None:
    assert reason_of(RuntimeError("Traceback\n  File x\nOSError: No space left [while running 'Read']\n\n")) == (
        "RuntimeError: OSError: No space left"
    )


def test_an_error_without_words_is_told_by_its_type() -> None:
    assert reason_of(NotImplementedError()) == "NotImplementedError"


@pytest.mark.parametrize("text", ["KeyboardInterrupt [while running 'Read']", "Traceback\n  File x\nKeyboardInterrupt"])
def test_an_interrupt_is_seen_in_what_a_runner_makes_of_it(text: str) -> None:
    assert was_interrupted(RuntimeError(text))


def test_an_interrupt_is_seen_in_the_chain() -> None:
    error = RuntimeError("it ended")
    error.__context__ = KeyboardInterrupt()
    assert was_interrupted(error)
    assert not was_interrupted(RuntimeError("no KeyboardInterrupt here"))
