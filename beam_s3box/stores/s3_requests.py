"""Requests to one bucket: retried, counted, and with errors that are ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from beam_s3box.errors import StoreError
from beam_s3box.stores.retries import Retry, is_transient
from beam_s3box.stores.s3_errors import boto3_errors, may_be_cause, translate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Requests:
    """Sends requests to one bucket.

    Attributes:
      client: the boto3 client.
      bucket: its name.
      retry: how often, and when.
    """

    client: S3Client
    bucket: str
    retry: Retry

    def send(
        self,
        method: str,
        key: str | None,
        parameters: dict[str, Any],
        *,
        finish: Callable[[Any], T],
        worth: Callable[[StoreError], bool] = is_transient,
        before: int = 0,
    ) -> tuple[T, int]:
        """Call a method of the client; return what `finish` makes of the answer, and the number of attempts.

        Args:
          method: such as `put_object`.
          key: the object's, in the bucket; None for the bucket itself.
          parameters: all but bucket and key.
          finish: takes the answer; what it raises counts as the request's failure.
          worth: whether another attempt may help after this error.
          before: attempts at the same thing that were made elsewhere, which an error counts too.
        """
        operation = self.client.meta.method_to_api_mapping[method]
        target = {"Bucket": self.bucket} if key is None else {"Bucket": self.bucket, "Key": key}

        def call() -> T:
            return finish(getattr(self.client, method)(**target, **parameters))

        def attempt(number: int) -> T:
            return translated(call, operation, self.url(key), before + number)

        return self.retry.run(attempt, worth)

    def url(self, key: str | None) -> str:
        """Return the URL of an object or of the bucket."""
        return f"s3://{self.bucket}" if key is None else f"s3://{self.bucket}/{key}"


def translated(function: Callable[[], T], operation: str, url: str, attempt: int = 1) -> T:
    """Call a function and turn boto3's errors into ours.

    Raises:
      StoreError: from the error of boto3; without it, if that one quotes a header.
    """
    try:
        return function()
    except boto3_errors() as exc:
        error, cause = translate(exc, operation, url, attempt), exc if may_be_cause(exc) else None
    # out here, so that an error that is left out does not stay as the context of ours
    raise error from cause


def answer(response: Any) -> Any:
    """Return the answer as it is."""
    return response
