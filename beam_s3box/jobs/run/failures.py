"""Why a pipeline failed, in one line, out of what a runner makes of an error."""

from __future__ import annotations

import re
from collections.abc import Iterator

from beam_s3box.errors import S3BoxError, TransientStoreError

_STEP = re.compile(r"\s*\[while running '[^']*'\]")
_OWN_ERROR = re.compile(r"^beam_s3box(?:\.\w+)*\.\w*Error: (.+)$", re.MULTILINE)
_INTERRUPT = re.compile(r"^(?:KeyboardInterrupt|beam_s3box\.cli\.console\.interrupts\.Interrupted)\b", re.MULTILINE)
_NOTHING = re.compile(r"^\s*$")


def reason_of(error: BaseException) -> str:
    """Return the reason of a failure: the message of our own error, if one is in the chain or in the text.

    Runners in other processes and places pass on an error as the text of its traceback.
    """
    for cause in _chain(error):
        text = str(cause)
        own = _OWN_ERROR.findall(text)
        if own:
            return _one_line(own[-1])
        if isinstance(cause, S3BoxError):
            return _one_line(text)
    return f"{type(error).__name__}: {_last_line(str(error))}" if str(error).strip() else type(error).__name__


def was_interrupted(error: BaseException) -> bool:
    """Return whether the user interrupted the run: inside a step, Beam makes another error of that."""
    return any(isinstance(cause, KeyboardInterrupt) for cause in _chain(error)) or bool(_INTERRUPT.search(str(error)))


def is_of_silent_store(error: BaseException) -> bool:
    """Return whether the store failed after all its retries: asking it again would take as long once more."""
    name = TransientStoreError.__name__
    return any(isinstance(cause, TransientStoreError) or name in str(cause) for cause in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _one_line(text: str) -> str:
    return " ".join(_STEP.sub("", text).split())


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if not _NOTHING.match(line)]
    return _one_line(lines[-1])
