"""What the options of a queue mean, and what of a real queue's settings is refused before anything is read."""

from __future__ import annotations

import json

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.queue import queue_of, receiving_of
from beam_s3box.jobs.read.queue.check import checked
from beam_s3box.jobs.read.queue.messages import Queue
from beam_s3box.jobs.read.queue.receive import Receiving
from beam_s3box.jobs.stream import PARSER
from beam_s3box.shards.runs import new_token
from beam_s3box.sources.aws import AwsSettings
from tools.moto import KEYS, Moto
from tools.seaweedfs import REGION

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/landing"


def parsed(*arguments: str) -> Queue:
    return queue_of(PARSER.parse(["--runner=PrismRunner", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ([], AwsSettings("eu-central-1")),
        (["--sqs_region=us-east-1"], AwsSettings("us-east-1")),
        (["--sqs_endpoint_url=http://localhost:9324"], AwsSettings("eu-central-1", "http://localhost:9324")),
    ],
)
def test_the_region_is_that_of_the_url_unless_another_is_given(arguments: list[str], settings: AwsSettings) -> None:
    assert parsed(f"--sqs_queue={URL}", *arguments) == Queue(URL, settings)


def test_how_to_receive_is_said_as_for_files() -> None:
    options = PARSER.parse(["--runner=PrismRunner", "--poll_interval=3", "--stop_after=60"])
    assert receiving_of(options) == Receiving(3, 60, settle=30)
    options = PARSER.parse(["--runner=FlinkRunner", "--checkpointing_interval=60000"])
    assert receiving_of(options).settle == 180


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sqs_queue=landing"], "--sqs_queue='landing' must be the URL of a queue, as https://"),
        ([f"--sqs_queue={URL}.fifo"], "is a FIFO queue, which holds messages back"),
        (
            [f"--sqs_queue={URL}", "--runner=FlinkRunner"],
            "--sqs_queue needs checkpoints on Flink, which deletes messages when one is complete: give "
            "--checkpointing_interval=10000",
        ),
        (
            [f"--sqs_queue={URL}", "--runner=PortableRunner", "--checkpointing_interval=600001"],
            "--checkpointing_interval=600001 is too long for --sqs_queue",
        ),
    ],
)
def test_what_can_not_work_says_why(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(*arguments)
    assert message in str(caught.value)


def test_flink_with_checkpoints_may_have_a_queue() -> None:
    assert parsed(f"--sqs_queue={URL}", "--runner=FlinkRunner", "--checkpointing_interval=10000").url == URL


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def made(aws: Moto, **attributes: str) -> Queue:
    url = aws.client("sqs").create_queue(QueueName=f"q-{new_token(8)}", Attributes=attributes)["QueueUrl"]
    return Queue(url, AwsSettings(REGION, aws.endpoint_url))


def redrive(aws: Moto, most: int) -> str:
    dead = made(aws)
    arn = dead.send("get_queue_attributes", AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": most})


def test_messages_are_hidden_as_long_as_the_queue_says(aws: Moto, keys: None) -> None:
    queue = made(aws, VisibilityTimeout="90", RedrivePolicy=redrive(aws, 5))
    assert checked(queue, poll_interval=10) == queue._replace(visibility=90)


@pytest.mark.parametrize(
    ("seconds", "poll", "least", "fix"),
    [("20", 10, 30, 300), ("40", 20, 60, 300), ("1801", 10, 30, 300), ("300", 120, 360, 360)],
)
def test_messages_must_not_come_back_while_they_are_read(
    aws: Moto, keys: None, seconds: str, poll: float, least: int, fix: int
) -> None:
    queue = made(aws, VisibilityTimeout=seconds)
    with pytest.raises(ConfigurationError) as caught:
        checked(queue, poll)
    assert f"are hidden for {seconds} s when they are received, which must be {least} to 1800 s" in str(caught.value)
    assert str(caught.value).endswith(f"--queue-url {queue.url} --attributes VisibilityTimeout={fix}")


def test_a_redrive_policy_must_let_a_message_be_received_again(aws: Moto, keys: None) -> None:
    queue = made(aws, VisibilityTimeout="90", RedrivePolicy=redrive(aws, 1))
    with pytest.raises(ConfigurationError, match="gives a message away when it was received 1 times"):
        checked(queue, 10)


def test_a_queue_that_is_not_there_is_refused(aws: Moto, keys: None) -> None:
    queue = made(aws)
    with pytest.raises(ConfigurationError, match=r"--sqs_queue can't be read: get_queue_attributes .*create the queue"):
        checked(queue._replace(url=f"{queue.url}-gone"), 10)
