"""Each shape in which an event of S3 comes, as AWS and servers like it send it; and messages that are none."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from beam_s3box.errors import RecordError
from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.queue.events import ObjectEvent, events_of
from beam_s3box.records.encoding import NOT_AN_EVENT
from beam_s3box.shards.runs import new_token
from tools.moto import Moto

CREATED = 1_700_000_000
TIME = "2023-11-14T22:13:20.000Z"


def notification(key: str = "landing/a+b%2B%C3%A9.jsonl", name: str = "ObjectCreated:Put", **changes: Any) -> str:
    thing = {"key": key, "size": 3, "eTag": "8a80554c91d9fca8acb82f023de02f11", "sequencer": "0055AED6DCD90281E5"}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": TIME,
        "eventName": name,
        "s3": {"bucket": {"name": "lake"}, "object": {**thing, **changes}},
    }
    return json.dumps({"Records": [record]})


EVENT = ObjectEvent(
    "lake", "landing/a b+é.jsonl", 3, "8a80554c91d9fca8acb82f023de02f11", CREATED * MICROS, "55AED6DCD90281E5"
)


def event_bridge(kind: str = "Object Created") -> str:
    thing = {"key": "landing/a b+é.jsonl", "size": 3, "etag": EVENT.etag, "sequencer": "0055aed6dcd90281e5"}
    detail = {"version": "0", "bucket": {"name": "lake"}, "object": thing, "reason": "PutObject"}
    return json.dumps({"source": "aws.s3", "detail-type": kind, "time": "2023-11-14T22:13:20Z", "detail": detail})


def by_sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:x:1:t", "Message": body})


@pytest.mark.parametrize(
    "body",
    [
        notification(),
        notification(name="ObjectCreated:CompleteMultipartUpload"),
        notification(name="s3:ObjectCreated:Put"),
        by_sns(notification()),
        event_bridge(),
        by_sns(event_bridge()),
    ],
)
def test_one_object_is_one_event_in_whatever_shape_it_comes(body: str) -> None:
    [event] = events_of(body)
    assert event == EVENT
    assert event.url == "s3://lake/landing/a b+é.jsonl"
    assert (event.mark, len(event.mark)) == (EVENT.mark, 12)


@pytest.mark.parametrize(
    "body",
    [
        notification(name="ObjectRemoved:Delete"),
        notification(name="s3:ReducedRedundancyLostObject"),
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": TIME, "Bucket": "lake"}),
        event_bridge("Object Deleted"),
        by_sns(notification(name="ObjectRemoved:Delete")),
        json.dumps({"Records": []}),
    ],
)
def test_what_tells_of_no_new_object_names_none(body: str) -> None:
    assert events_of(body) == []


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("hello", "is no event of S3, as it is no JSON"),
        ("[1]", "is no event of S3, but a JSON list"),
        ("{}", "KeyError: 'Records'"),
        (by_sns("hello"), "as it is no JSON"),
        (json.dumps({"Records": [{"eventSource": "aws:sns", "Sns": {}}]}), "KeyError: 'eventName'"),
        (json.dumps({"Records": [{"eventName": "ObjectCreated:Put"}]}), "KeyError: 's3'"),
        (json.dumps({"Records": "many"}), "TypeError"),
        (json.dumps({"Records": None}), "TypeError"),
        (notification(key=""), "ValueError"),
        (notification(key="%FF"), "UnicodeDecodeError"),
        (notification(size="many"), "ValueError"),
        (json.dumps({"source": "aws.s3", "detail-type": "Object Created"}), "KeyError: 'detail'"),
    ],
)
def test_a_message_that_is_no_event_says_why(body: str, part: str) -> None:
    with pytest.raises(RecordError, match="is no event of S3") as caught:
        events_of(body)
    assert caught.value.reason == NOT_AN_EVENT
    assert part in str(caught.value)


def test_a_later_event_of_the_key_has_another_mark() -> None:
    [later] = events_of(notification(sequencer="0055AED6DCD90281E6"))
    [other] = events_of(notification(key="landing/b"))
    assert len({EVENT.mark, later.mark, other.mark}) == 3


def test_without_a_sequencer_the_version_and_its_time_tell_events_apart() -> None:
    """Servers other than AWS may have none."""
    [event] = events_of(notification(sequencer=None))
    [again] = events_of(notification(sequencer=None))
    [later] = events_of(notification(sequencer=None).replace(TIME, "2023-11-14T22:13:21.000Z"))
    assert event.mark == again.mark != later.mark


def test_what_is_not_said_is_not_known() -> None:
    [event] = events_of(notification(size=None, eTag=None))
    assert (event.size, event.etag) == (None, "")


def test_a_real_bucket_sends_what_is_understood(aws: Moto) -> None:
    sqs, s3, name = aws.client("sqs"), aws.client("s3"), f"events-{new_token(8)}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.create_bucket(Bucket=name)
    wanted = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": wanted})
    key = "landing/2024 01+é%.jsonl"
    etag = s3.put_object(Bucket=name, Key=key, Body=b"{}\n")["ETag"].strip('"')
    s3.delete_object(Bucket=name, Key=key)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
    assert len(messages) == 3, "a test event, one of the creation, one of the removal"
    [event] = [event for message in messages for event in events_of(message["Body"])]
    assert (event.bucket, event.key, event.size, event.etag) == (name, key, 3, etag)
    assert abs(event.created / MICROS - time.time()) < 60
