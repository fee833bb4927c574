"""What S3 tells of objects: its own notifications, plain or sent on by SNS, and events of EventBridge."""

from __future__ import annotations

import datetime
import hashlib
import urllib.parse
from typing import Any, Final, NamedTuple

import orjson

from beam_s3box.errors import RecordError
from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.queue.event_memory import MARK_BYTES
from beam_s3box.records.encoding import NOT_AN_EVENT

_CREATED: Final = "ObjectCreated:"
_TEST: Final = "s3:TestEvent"


class ObjectEvent(NamedTuple):
    """An object was created, or replaced.

    Attributes:
      bucket: its bucket.
      key: its key.
      size: its bytes; None if that is not said.
      etag: its ETag without quotation marks; empty if that is not said.
      created: when, in microseconds since 1970; 0 if that is not said.
      sequencer: distinguishes this event from others of the key.
    """

    bucket: str
    key: str
    size: int | None
    etag: str
    created: int
    sequencer: str

    @property
    def url(self) -> str:
        """The object's URL."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def mark(self) -> bytes:
        """A few bytes that the event has whenever and however often it is delivered, and no other event."""
        text = f"{self.bucket}/{self.key}\0{self.sequencer}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=MARK_BYTES).digest()


def events_of(body: str) -> list[ObjectEvent]:
    """Return the objects that a message says were created; none if it tells of something else, as of a removal.

    Args:
      body: of the message.

    Raises:
      RecordError: it is no event of S3.
    """
    message = _object_in(body)
    if message.get("Type") == "Notification" and isinstance(message.get("Message"), str):
        # sent on by SNS, without its raw delivery
        message = _object_in(message["Message"])
    if message.get("Event") == _TEST:
        return []
    try:
        if message.get("source") == "aws.s3":
            return [_of_event_bridge(message)] if message["detail-type"] == "Object Created" else []
        records = message["Records"]
        return [_of_notification(record) for record in records if _is_creation(record)]
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise RecordError(
            f"is no event of S3: {type(exc).__name__}: {exc}; the queue should get nothing else", NOT_AN_EVENT
        ) from exc


def _object_in(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError as exc:
        raise RecordError(f"is no event of S3, as it is no JSON: {exc}", NOT_AN_EVENT) from exc
    if not isinstance(found, dict):
        raise RecordError(f"is no event of S3, but a JSON {type(found).__name__}", NOT_AN_EVENT)
    return found


def _is_creation(record: dict[str, Any]) -> bool:
    name: str = record["eventName"]
    # a record of another service has no such member
    return record["s3"] is not None and name.removeprefix("s3:").startswith(_CREATED)


def _of_notification(record: dict[str, Any]) -> ObjectEvent:
    thing = record["s3"]["object"]
    # a form's encoding: a plus sign is a space
    key = urllib.parse.unquote_plus(thing["key"], errors="strict")
    return _event(record["s3"]["bucket"]["name"], key, thing, thing.get("eTag"), record.get("eventTime"))


def _of_event_bridge(message: dict[str, Any]) -> ObjectEvent:
    detail = message["detail"]
    thing = detail["object"]
    # as it is: EventBridge encodes nothing
    return _event(detail["bucket"]["name"], thing["key"], thing, thing.get("etag"), message.get("time"))


def _event(bucket: str, key: str, thing: dict[str, Any], etag: str | None, time: str | None) -> ObjectEvent:
    if not (isinstance(bucket, str) and bucket and isinstance(key, str) and key):
        raise ValueError(f"bucket {bucket!r} and key {key!r} must be texts")
    size = thing.get("size")
    etag = (etag or "").strip('"')
    # the same number in capitals or not; servers other than AWS may have none
    sequencer = str(thing.get("sequencer") or "").upper().lstrip("0") or f"{etag} {time}"
    return ObjectEvent(bucket, key, None if size is None else int(size), etag, _micros(time), sequencer)


def _micros(time: str | None) -> int:
    if not time:
        return 0
    moment = datetime.datetime.fromisoformat(time)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * MICROS)
