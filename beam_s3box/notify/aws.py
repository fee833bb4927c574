"""Sends a commit to a topic of SNS or a queue of SQS. Keys, and the region of a queue, are what boto3 finds."""

from __future__ import annotations

import functools
import hashlib
import urllib.parse
from typing import Any, Final

from beam_s3box.engine.commit import Commit
from beam_s3box.errors import NotifyError

_OF_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn")
_FIFO: Final = ".fifo"


def send_to_topic(arn: str, commit: Commit, shown: str) -> None:
    """Publish the commit.

    Raises:
      NotifyError: SNS refused it, or did not answer.
    """
    _call(
        _client("sns", arn.split(":")[3], None).publish, shown, commit, arn,
        TopicArn=arn, Message=commit.to_json().decode(), MessageAttributes=_attributes(commit),
    )  # fmt: skip


def send_to_queue(url: str, commit: Commit, shown: str) -> None:
    """Send the commit.

    Raises:
      NotifyError: SQS refused it, or did not answer.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    is_aws = host.endswith(_OF_AWS)
    region = host.split(".")[1] if is_aws and host.startswith("sqs.") else None
    client = _client("sqs", region, None if is_aws else f"{parts.scheme}://{parts.netloc}")
    _call(
        client.send_message, shown, commit, url,
        QueueUrl=url, MessageBody=commit.to_json().decode(), MessageAttributes=_attributes(commit),
    )  # fmt: skip


def _call(function: Any, shown: str, commit: Commit, name: str, **arguments: Any) -> None:
    import botocore.exceptions

    if name.endswith(_FIFO):
        # one that is sent again is the same message
        digest = hashlib.sha256(commit.to_json()).hexdigest()
        arguments |= {"MessageGroupId": commit.run_id, "MessageDeduplicationId": digest}
    try:
        function(**arguments)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        raise NotifyError(f"{shown} was not notified: {exc}") from exc


def _attributes(commit: Commit) -> dict[str, Any]:
    """Return what subscriptions filter by."""
    values = {"type": commit.type, "run_id": commit.run_id}
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


@functools.lru_cache(16)
def _client(service: str, region: str | None, endpoint_url: str | None) -> Any:
    """Return the client of this process."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
    session: Any = boto3.Session(region_name=region)
    try:
        return session.client(service, endpoint_url=endpoint_url, config=config)
    except Exception as exc:
        raise NotifyError(f"no client of {service} could be made ({type(exc).__name__}: {exc})") from exc
