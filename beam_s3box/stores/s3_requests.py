"""Requests to one bucket: retried, counted, and with errors that are ours."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from beam_s3box.errors import StoreError
from beam_s3box.stores.retries import Retry, is_transient
from beam_s3box.stores.s3_errors import boto3_errors, may_be_cause, translate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


class ServerClock:
    """The time by a server's clock, as of its latest answer and counted on from there.

    Args:
      elapsed: returns seconds that only ever go forward.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._offset: float | None = None

    def now(self) -> float | None:
        """Return seconds since the epoch, or None before the first answer that told the time."""
        return None if self._offset is None else self._elapsed() + self._offset

    def note(self, response: Any) -> None:
        """Take the time from an answer's `Date`, if it has one that can be read."""
        told = ((response or {}).get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
        if told is not None:
            with contextlib.suppress(TypeError, ValueError):
                self._offset = email.utils.parsedate_to_datetime(told).timestamp() - self._elapsed()


@dataclasses.dataclass(frozen=True)
class Requests:
    """Sends requests to one bucket.

    Attributes:
      client: the boto3 client.
      bucket: its name.
      retry: how often, and when.
      clock: is told the time that the answers bear.
    """

    client: S3Client
    bucket: str
    retry: Retry
    clock: ServerClock = dataclasses.field(default_factory=ServerClock)

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
            response = getattr(self.client, method)(**target, **parameters)
            self.clock.note(response)
            return finish(response)

        def attempt(number: int) -> T:
            try:
                return translated(call, operation, self.url(key), before + number)
            except StoreError as exc:
                self.clock.note(getattr(exc.__cause__, "response", None))
                raise

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
