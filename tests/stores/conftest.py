"""Stores on the S3 server, each below a prefix of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.stores import S3Settings, S3Store, s3_check
from beam_s3box.stores.retries import Retry
from tools.seaweedfs import REGION, Identity, Server

_PREFIXES = itertools.count()


@pytest.fixture
def pauses() -> list[float]:
    """The waits of stores made by `make_s3`, in seconds; nobody really waits."""
    return []


@pytest.fixture
def make_s3(s3_server: Server, pauses: list[float]) -> Callable[..., S3Store]:
    def make(identity: Identity | None = None, url: str | None = None, **settings: Any) -> S3Store:
        chosen = S3Settings(**{"region": REGION, "endpoint_url": s3_server.endpoint_url, **settings})
        retry = Retry(
            chosen.max_attempts,
            sleep=pauses.append,
            random=lambda: 1.0,
            seconds=chosen.retry_seconds,
            clock=lambda: sum(pauses),
        )
        place = url or f"s3://{s3_server.bucket}/{next(_PREFIXES)}/äß"
        return S3Store(place, chosen, identity or s3_server.admin, retry)

    return make


@pytest.fixture
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a check the time that a busy machine needs; that it ends in time has tests of its own."""
    monkeypatch.setattr(s3_check, "_DEADLINE_SECONDS", 60.0)
