from __future__ import annotations

import pytest

from beam_s3box.errors import StoreError, TransientStoreError
from pipelines.failures import reason_of

REASON = "PutObject s3://b/k failed after 3 attempts: SlowDown (503)"
REMOTE = f"""Traceback (most recent call last):
  File "x.py", line 1, in process
beam_s3box.errors.TransientStoreError: {REASON}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "sdk_worker.py", line 310, in _execute
beam_s3box.errors.TransientStoreError: {REASON} [while running 'WriteToS3Box/UploadWhole']
"""


def test_the_step_is_left_out_of_our_own_error():
    assert reason_of(StoreError(f"{REASON} [while running 'WriteToS3Box/UploadWhole']")) == REASON


def test_our_error_is_found_in_the_text_of_a_remote_traceback():
    assert reason_of(RuntimeError(REMOTE)) == REASON


@pytest.mark.parametrize("raised_from", [True, False])
def test_our_error_is_found_in_the_chain(raised_from):
    with pytest.raises(RuntimeError) as caught:
        try:
            raise TransientStoreError(REASON)
        except TransientStoreError as exc:
            if raised_from:
                raise RuntimeError("bundle failed") from exc
            raise RuntimeError("bundle failed")  # noqa: B904
    assert reason_of(caught.value) == REASON


def test_another_error_is_told_by_its_last_line():
    assert reason_of(RuntimeError("Traceback\n  File x\nOSError: No space left [while running 'Read']\n\n")) == (
        "RuntimeError: OSError: No space left"
    )


def test_an_error_without_words_is_told_by_its_type():
    assert reason_of(NotImplementedError()) == "NotImplementedError"
