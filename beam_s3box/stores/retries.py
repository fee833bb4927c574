"""Attempts at a request: for how long, how many, and how long to wait between them."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from beam_s3box.errors import S3BoxError, StoreError, TransientLoadError, TransientStoreError

T = TypeVar("T")


def _random() -> float:
    # by name: a pickled `random.random` carries its generator's state, and all workers would wait in step
    return random.random()  # noqa: S311 - it spreads load and guards nothing


def is_transient(error: S3BoxError) -> bool:
    """Return whether another attempt may help."""
    return isinstance(error, TransientStoreError | TransientLoadError)


@dataclasses.dataclass(frozen=True)
class Retry:
    """Repeats what fails for the moment, with exponential backoff and full jitter.

    It stands in for botocore's own retries, whose standard mode shares one quota over all threads of a client: when
    a whole job is throttled, the quota is gone and requests fail long before their last attempt.

    Attributes:
      max_attempts: the first included; no more than these, however much time is left.
      base_seconds: the longest wait before the second attempt; it doubles from there.
      cap_seconds: the longest wait of all.
      sleep: waits that many seconds.
      random: returns a number from 0 to 1, the share of the longest wait that is taken.
      seconds: after so many since the first attempt began, the next failure is the last. The waits end then, so that
        the last attempt is made when the time is over and not before.
      clock: returns seconds that only ever go forward.
    """

    max_attempts: int = 8
    base_seconds: float = 0.25
    cap_seconds: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = _random
    seconds: float = math.inf
    clock: Callable[[], float] = time.monotonic

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
            self.sleep(min(self.pause_seconds(number), left))
            number += 1

    def pause_seconds(self, number: int) -> float:
        """Return how long to wait after attempt `number` failed."""
        # the exponent is bounded, as a float has an end
        return self.random() * min(self.cap_seconds, self.base_seconds * 2.0 ** min(number - 1, 64))
