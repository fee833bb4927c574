"""Requests to one bucket: checked, retried, counted, and with errors that are ours."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from beam_s3box.errors import StoreError
from beam_s3box.stores.retries import Retry, is_transient
from beam_s3box.stores.s3_answers import OddAnswer, check_fields
from beam_s3box.stores.s3_client import Connected, Connection
from beam_s3box.stores.s3_errors import Remedy, Rule, boto3_errors, may_be_cause, rule_of, translate

T = TypeVar("T")

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What botocore's readers let through when an answer holds no number, no date or no name where one belongs."""


def answer(response: Any) -> Any:
    """Return the answer as it is."""
    return response


def _never(error: StoreError) -> bool:
    return False


@dataclasses.dataclass(frozen=True)
class Requests:
    """Sends requests to one bucket.

    Attributes:
      connection: gives the client.
      bucket: its name.
      retry: how often, how long, and when.
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
        """Make a request; return what `finish` makes of the checked answer, and the number of attempts.

        Args:
          operation: such as `PutObject`, one of `s3_answers.ANSWERS`.
          key: the object's, in the bucket; None for the bucket itself.
          parameters: all but bucket, key and body.
          body: called for each attempt, and returns what is sent: one that failed may have read a part of it.
          finish: takes the answer; what it raises counts as the request's failure.
          stop: whether to give up after an error that is worth another attempt.
          before: attempts at the same thing that were made elsewhere, which an error counts too.
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

        # before the time runs: a client takes a while to make, and what hinders it stays
        self.connect()
        return self.retry.run(attempt, is_worth)

    def connect(self) -> Connected:
        """Return the client and what belongs to it.

        Raises:
          StoreError: it can't be made.
        """
        return translated(self.connection.get, "CreateClient", self.url(None))

    def url(self, key: str | None) -> str:
        """Return the URL of an object or of the bucket."""
        return f"s3://{self.bucket}" if key is None else f"s3://{self.bucket}/{key}"

    def _remedy(self, remedy: Remedy | None, refused: Connected) -> bool:
        """Do what makes another attempt worth while; return whether it is."""
        if remedy is Remedy.KEYS:
            return translated(lambda: self.connection.renew(refused), "CreateClient", self.url(None))
        if remedy is Remedy.CLOCK:
            refused.clock.sign_by_server()
        return True


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


def _ask(connected: Connected, operation: str, parameters: dict[str, Any]) -> Any:
    """Send one request and return its answer, checked."""
    from botocore import xform_name

    try:
        response = getattr(connected.client, xform_name(operation))(**parameters)
    except boto3_errors():
        raise
    except _UNREADABLE as exc:
        raise OddAnswer(f"an answer that can't be read ({type(exc).__name__}: {exc})") from exc
    connected.clock.note(response)
    check_fields(operation, response, parameters)
    return response
