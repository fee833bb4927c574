"""Notifications: to SNS, SQS and web addresses; several attempts; secrets are shown nowhere."""

from __future__ import annotations

import json
import pathlib
import pickle
from collections.abc import Iterator

import pytest

from beam_s3box.engine.commit import Commit, commit_of_manifest
from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, NotifyError
from beam_s3box.notify import aws as aws_targets
from beam_s3box.notify import web as web_target
from beam_s3box.notify.notifier import Notifier
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.stores.retries import Retry
from tests.notify.web_server import Web, web_server, write_certificate
from tools.moto import KEYS, Moto
from tools.seaweedfs import REGION

RUN = Commit("run", "r1", "s3://b/p/runs/r1.json", "s3://b/p", 7, 2, 300, 100, (), 1)
MANIFEST = Manifest("d", "n", "w", 3, "s3://b/p/m", "m", 1, 5, 30, 10, "ab")
ARN = "arn:aws:sns:eu-west-1:123456789012:topic"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(web_target, "_RETRY", Retry(max_attempts=3, base_seconds=0.01))
    with web_server() as server:
        yield server


@pytest.fixture
def topic(aws: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """The services of AWS, as boto3 finds them."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    aws_targets._client.cache_clear()
    return aws


def messages(aws: Moto, queue: str) -> list[str]:
    found = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    return [message["Body"] for message in found.get("Messages", ())]


def test_a_web_address_gets_the_counts_as_json(web: Web) -> None:
    Notifier(f"{web.url}/hook?key=1")(RUN)
    Notifier(f"{web.url}")(commit_of_manifest(MemoryStore("x"), "r1", MANIFEST))
    assert web.paths == ["/hook?key=1", "/"]
    assert web.bodies == [
        {
            "type": "run", "run_id": "r1", "url": "s3://b/p/runs/r1.json", "destination": "s3://b/p", "records": 7,
            "shards": 2, "raw_bytes": 300, "object_bytes": 100, "manifests": 0, "dead_letters": 1,
        },
        {
            "type": "manifest", "run_id": "r1", "url": "s3://b/p/m", "destination": "memory://x", "records": 5,
            "shards": 1, "raw_bytes": 30, "object_bytes": 10, "manifests": 1, "dead_letters": None, "domain": "d",
            "namespace": "n", "window": "w", "pane": 3, "sha256": "ab",
        },
    ]  # fmt: skip


@pytest.mark.parametrize("statuses", [[503], [429, 0]])
def test_another_attempt_is_made_where_it_may_help(web: Web, statuses: list[int]) -> None:
    web.statuses = list(statuses)
    Notifier(f"{web.url}/secret")(RUN)
    assert len(web.bodies) == len(statuses) + 1


@pytest.mark.parametrize(
    ("statuses", "why", "attempts"),
    [
        ([404], "answered 404 Not Found, after 1 attempts", 1),
        ([302], "answered 302 Found, after 1 attempts", 1),
        ([500, 500, 500], "answered 500 Internal Server Error, after 3 attempts", 3),
        ([0, 0, 0], "did not answer, after 3 attempts", 3),
    ],
)
def test_what_was_not_taken_fails_without_the_address(web: Web, statuses: list[int], why: str, attempts: int) -> None:
    web.statuses = list(statuses)
    with pytest.raises(NotifyError) as caught:
        Notifier(f"{web.url}/s3cr3t?token=t0k3n")(RUN)
    assert str(caught.value).startswith(f"{web.url}/… {why}")
    assert (len(web.bodies), caught.value.__cause__) == (attempts, None)
    assert "s3cr3t" not in repr(caught.value)


def test_tls_is_checked(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "server.pem"
    write_certificate(path)
    monkeypatch.setattr(web_target, "_RETRY", Retry(max_attempts=1))
    with web_server(path) as web:
        with pytest.raises(NotifyError, match="did not answer"):
            Notifier(f"{web.url}/x")(RUN)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        Notifier(f"{web.url}/x")(RUN)
    assert len(web.bodies) == 1


def test_a_variable_is_replaced_where_it_is_sent(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = Notifier(f"{web.url}/${{HOOK_KEY}}/x")
    with pytest.raises(NotifyError, match="the environment has no variable HOOK_KEY"):
        notifier(RUN)
    monkeypatch.setenv("HOOK_KEY", "s3cr3t")
    copy = pickle.loads(pickle.dumps(notifier))
    copy(RUN)
    assert web.paths == ["/s3cr3t/x"]
    assert b"s3cr3t" not in pickle.dumps(notifier)


def test_a_topic_and_its_subscribers(topic: Moto) -> None:
    sns, sqs = topic.client("sns"), topic.client("sqs")
    queue = sqs.create_queue(QueueName=f"q-{new_token(8)}")["QueueUrl"]
    arn = sns.create_topic(Name=f"t-{new_token(8)}")["TopicArn"]
    endpoint = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint, Attributes={"RawMessageDelivery": "true"})
    Notifier(f"sns:{arn}")(RUN)
    assert messages(topic, queue) == [RUN.to_json().decode()]


@pytest.mark.parametrize("is_fifo", [False, True])
def test_a_queue(topic: Moto, is_fifo: bool) -> None:
    """A queue that keeps an order takes what is sent again for the same message."""
    name = f"q-{new_token(8)}" + (".fifo" if is_fifo else "")
    attributes = {"FifoQueue": "true"} if is_fifo else {}
    queue = topic.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    for _ in range(2):
        Notifier(f"sqs:{queue}")(RUN)
    found = messages(topic, queue)
    assert {json.loads(text)["run_id"] for text in found} == {"r1"}
    assert len(found) == (1 if is_fifo else 2)


def test_what_aws_refuses_is_named(topic: Moto) -> None:
    with pytest.raises(
        NotifyError, match=r"sqs:http://127\.0\.0\.1:\d+/1/nowhere was not notified: .*NonExistentQueue"
    ):
        Notifier(f"sqs:{topic.endpoint_url}/1/nowhere")(RUN)
    with pytest.raises(NotifyError, match=f"sns:{ARN} was not notified: .*NotFound"):
        Notifier(f"sns:{ARN}")(RUN)


@pytest.mark.parametrize(
    ("target", "shown", "rule"),
    [
        ("", "", "must be sns:ARN of a topic, sqs:URL of a queue, or an https: URL"),
        ("ftp://host/x", "ftp://host…", "must be sns:ARN"),
        ("mailto:me", "mailto:…", "must be sns:ARN"),
        ("sns:topic", "sns:…", "an ARN is arn:aws:sns:REGION:ACCOUNT:TOPIC"),
        ("sqs:queue", "sqs:…", "with a host"),
        ("https:", "https:…", "with a host"),
        ("https://user:s3cr3t@host/x", "host…", "must not have a user or password"),
        ("http://host/s3cr3t", "http://host…", "must be https"),
        ("sqs:http://host/s3cr3t", "sqs:http://host…", "must be https"),
    ],
)
def test_what_is_no_target_is_refused_without_its_secrets(target: str, shown: str, rule: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Notifier(target)
    assert str(caught.value).startswith(f"notify={shown or ':…'!r}")
    assert rule in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://hooks.example.com/T0/s3cr3t?x=s3cr3t", "https://hooks.example.com/…"),
        (f"sns:{ARN}", f"sns:{ARN}"),
        ("sqs:https://sqs.eu-west-1.amazonaws.com/1/q?s3cr3t", "sqs:https://sqs.eu-west-1.amazonaws.com/1/q"),
    ],
)
def test_a_target_is_shown_without_its_secrets(target: str, shown: str) -> None:
    assert str(Notifier(target)) == shown
    assert "s3cr3t" not in repr(Notifier(target))
