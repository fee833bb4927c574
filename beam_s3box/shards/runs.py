"""Run ids: the name of one execution, which is in every key that it writes."""

from __future__ import annotations

import datetime
import re

from beam_s3box.errors import ConfigurationError
from beam_s3box.system import outside

MAX_RUN_ID_BYTES = 48
"""With longer ids keys could exceed the 256 bytes that Redshift's load tables show."""

ORIGIN_CHARACTERS = 12
"""Hexadecimal characters of an origin."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


class NewRunId(str):
    """A run id that was created here, so that no other execution has it."""

    __slots__ = ()


def new_run_id() -> NewRunId:
    """Return a new run id that sorts by time: `20261122T101500Z-1f3a9c2b`."""
    now = datetime.datetime.fromtimestamp(outside.wall_seconds(), datetime.UTC)
    return NewRunId(f"{now:%Y%m%dT%H%M%SZ}-{new_token(8)}")


def new_token(characters: int = 32) -> str:
    """Return that many random hexadecimal characters, at most 32."""
    return outside.token()[:characters]


def new_origin() -> str:
    """Return a new origin: a token in the keys of shards that is unique to one execution of a piece of work."""
    return new_token(ORIGIN_CHARACTERS)


def check_run_id(run_id: str) -> str:
    """Return the run id.

    Raises:
      ConfigurationError: it is empty, too long, or has a character that a key should not have.
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id) or len(run_id) > MAX_RUN_ID_BYTES:
        raise ConfigurationError(
            f"run_id={run_id!r} must be 1 to {MAX_RUN_ID_BYTES} letters, digits, '-', '_' or '.', and start with "
            "a letter or digit"
        )
    return run_id
