"""Requests to one bucket: checked, retried, counted, and with the errors of this package."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from beam_s3box.errors import StoreError
from beam_s3box.stores.retries import Retry, is_transient
from beam_s3box.stores.s3_answers import InvalidResponse, check_fields
from beam_s3box.stores.s3_client import Connected, Connection
from beam_s3box.stores.s3_errors import Remedy, Rule, boto3_errors, may_be_cause, rule_of, translate

T = TypeVar("T")

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""Errors of botocore's parsers for a response with an invalid number, date or name."""


def answer(response: Any) -> Any:
    """Return the response unchanged."""
    return response


def _never(error: StoreError) -> bool:
    return False


@dataclasses.dataclass(frozen=True)
class Requests:
    """Sends requests to one bucket.

    Attributes:
      connection: provides the client.
      bucket: the name of the bucket.
      retry: attempts and waits.
    """

    connection: Connection
    bucket: str
    retry: Retry

    def send(
        self,
        operation: str,
        key: str | None,
        parameters: dict[str, Any],
        *,
        body: Callable[[], Any] | None = None,
        finish: Callable[[Any], T],
        stop: Callable[[StoreError], bool] = _never,
        before: int = 0,
    ) -> tuple[T, int]:
        """Make a request; return the result of `finish` for the checked response, and the number of attempts.

        Args:
          operation: the operation, one of `s3_answers.ANSWERS`, such as `PutObject`.
          key: the key of the object in the bucket; None for the bucket itself.
          parameters: all parameters but bucket, key and body.
          body: called for each attempt, returns the body: a failed attempt may have read a part of it.
          finish: takes the response; its errors count as failures of the request.
          stop: whether to stop after an error although a retry may help.
          before: attempts of the same request that were made before, which are counted in an error.
        """
        target = {"Bucket": self.bucket} if key is None else {"Bucket": self.bucket, "Key": key}
        used: list[Connected] = []

        def attempt(number: int) -> T:
            used[:] = [connected := self.connect()]
            sent = {**target, **parameters, **({} if body is None else {"Body": body()})}
            try:
                return translated(
                    lambda: finish(_ask(connected, operation, sent)), operation, self.url(key), before + number
                )
            except StoreError as exc:
                connected.clock.note(getattr(exc.__cause__, "response", None))
                raise

        seen: collections.Counter[Rule] = collections.Counter()

        def is_worth(error: StoreError) -> bool:
            rule = rule_of(error, operation)
            seen[rule] += 1
            if rule.attempts is None:
                return is_transient(error) and not stop(error)
            return seen[rule] < rule.attempts and not stop(error) and self._remedy(rule.remedy, used[0])

        # before the time starts: a client takes a while to create, and a retry would not help
        self.connect()
        return self.retry.run(attempt, is_worth)

    def connect(self) -> Connected:
        """Return the client with its keys and clock.

        Raises:
          StoreError: the client can't be created.
        """
        return translated(self.connection.get, "CreateClient", self.url(None))

    def url(self, key: str | None) -> str:
        """Return the URL of an object or of the bucket."""
        return f"s3://{self.bucket}" if key is None else f"s3://{self.bucket}/{key}"

    def _remedy(self, remedy: Remedy | None, refused: Connected) -> bool:
        """Prepare another attempt; return whether it may help."""
        if remedy is Remedy.KEYS:
            return translated(lambda: self.connection.renew(refused), "CreateClient", self.url(None))
        if remedy is Remedy.CLOCK:
            refused.clock.sign_by_server()
        return True


def translated(function: Callable[[], T], operation: str, url: str, attempt: int = 1) -> T:
    """Call a function and translate errors of boto3.

    Raises:
      StoreError: its cause is the error of boto3, unless that quotes a header.
    """
    try:
        return function()
    except boto3_errors() as exc:
        error, cause = translate(exc, operation, url, attempt), exc if may_be_cause(exc) else None
    # after the handler, so that an error that must not be shown is not the context of ours
    raise error from cause


def _ask(connected: Connected, operation: str, parameters: dict[str, Any]) -> Any:
    """Send one request and return the checked response."""
    from botocore import xform_name

    try:
        response = getattr(connected.client, xform_name(operation))(**parameters)
    except boto3_errors():
        raise
    except _UNREADABLE as exc:
        raise InvalidResponse(f"an answer that can't be read ({type(exc).__name__}: {exc})") from exc
    connected.clock.note(response)
    check_fields(operation, response, parameters)
    return response
