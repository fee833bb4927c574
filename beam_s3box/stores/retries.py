"""Retries: how many, for how long, and with which waits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

from beam_s3box.errors import S3BoxError, StoreError, TransientLoadError, TransientStoreError
from beam_s3box.system import outside

T = TypeVar("T")

RETRY_EXAMPLE: Final = "Retry(max_attempts=3)"
"""What to write for an argument that must be a Retry."""


class Waited:
    """How long this process has waited before further attempts; safe for use by many threads."""

    def __init__(self) -> None:
        # appending to a list, and taking it, are atomic: there is no lock that could stay locked after a fork
        self._pauses: list[float] = []
        self._rest = 0.0

    def add(self, seconds: float) -> None:
        """Note one wait."""
        self._pauses.append(seconds)

    def take(self) -> int:
        """Return the whole seconds since the last call."""
        pauses, self._pauses = self._pauses, []
        self._rest += sum(pauses)
        whole = int(self._rest)
        self._rest -= whole
        return whole


WAITED: Final = Waited()
"""By all retries of this process."""


def is_transient(error: S3BoxError) -> bool:
    """Return whether another attempt may help."""
    return isinstance(error, TransientStoreError | TransientLoadError)


@dataclasses.dataclass(frozen=True)
class Retry:
    """Retries transient errors, with exponential backoff and full jitter.

    It replaces botocore's own retries, whose standard mode has one quota for all threads of a client: when a whole job
    is throttled, the quota is used up and requests fail long before their last attempt.

    Attributes:
      max_attempts: maximum number of attempts, including the first, even if there is time left.
      base_seconds: maximum wait before the second attempt; it doubles with each attempt.
      cap_seconds: maximum of all waits.
      sleep: waits that many seconds.
      random: returns a number from 0 to 1, the fraction of the maximum wait.
      seconds: time from the start of the first attempt after which the next failure is the last. A wait is no longer
        than that, so that the last attempt is made when the time is over and not before.
      clock: returns monotonic seconds.
    """

    max_attempts: int = 8
    base_seconds: float = 0.25
    cap_seconds: float = 20.0
    sleep: Callable[[float], None] = outside.sleep
    random: Callable[[], float] = outside.fraction
    seconds: float = math.inf
    clock: Callable[[], float] = outside.steady_seconds

    def run(
        self,
        attempt: Callable[[int], T],
        worth: Callable[[Any], bool] = is_transient,
        errors: type[S3BoxError] = StoreError,
    ) -> tuple[T, int]:
        """Return what `attempt` returns and the number of attempts that took.

        Args:
          attempt: does the work; takes the attempt's number, from 1, and names it in the error it raises.
          worth: whether another attempt may help after this error.
          errors: those after which there may be another attempt.

        Raises:
          S3BoxError: the last attempt's, or the first that is not worth another one.
        """
        end = self.clock() + self.seconds
        number = 1
        while True:
            try:
                return attempt(number), number
            except errors as exc:
                left = end - self.clock()
                if number >= self.max_attempts or left <= 0 or not worth(exc):
                    raise
            pause = min(self.pause_seconds(number), left)
            self.sleep(pause)
            WAITED.add(pause)
            number += 1

    def pause_seconds(self, number: int) -> float:
        """Return how long to wait after attempt `number` failed."""
        # the exponent is limited, because a float would overflow
        return self.random() * min(self.cap_seconds, self.base_seconds * 2.0 ** min(number - 1, 64))
