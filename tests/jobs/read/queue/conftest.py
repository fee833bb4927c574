"""A real queue for the tests of this folder, and its messages."""

from __future__ import annotations

import pytest

from beam_s3box.jobs.read.queue.messages import Queue
from beam_s3box.shards.runs import new_token
from beam_s3box.sources.aws import AwsSettings
from tools.moto import KEYS, Moto
from tools.seaweedfs import REGION


@pytest.fixture
def queue(aws: Moto, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A new queue, whose messages are hidden for two seconds; and the keys for it in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    made = aws.client("sqs").create_queue(QueueName=f"q-{new_token(8)}", Attributes={"VisibilityTimeout": "2"})
    return Queue(made["QueueUrl"], AwsSettings(REGION, aws.endpoint_url), 2)
