"""A real Kinesis for the tests of this folder."""

from __future__ import annotations

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.sources.aws import AwsSettings
from beam_s3box.sources.kinesis.stream import StreamSettings
from tools.kinesis import Kinesis
from tools.moto import KEYS
from tools.seaweedfs import REGION


@pytest.fixture
def server(kinesis: Kinesis) -> Kinesis:
    """The server."""
    return kinesis


@pytest.fixture
def stream(server: Kinesis, monkeypatch: pytest.MonkeyPatch) -> StreamSettings:
    """A new stream of two shards; and the keys for it in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    name = f"s-{new_token(8)}"
    server.create(name, 2)
    return StreamSettings(stream=name, aws=AwsSettings(REGION, server.endpoint_url))
