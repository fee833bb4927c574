"""What S3 asks for requests and storage."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from beam_s3box.errors import ConfigurationError

PRICES_OF: Final = "S3 Standard in us-east-1, November 2026"
"""What the defaults are the list prices of."""

GB: Final = 1 << 30
"""Bytes in what S3 bills as a GB of storage."""


@dataclasses.dataclass(frozen=True)
class Prices:
    """Prices in US dollars.

    Attributes:
      put: of 1,000 requests that write or list: PUT, and each part of a large object.
      get: of 1,000 requests that read.
      storage: of a GB for a month.
    """

    put: float = 0.005
    get: float = 0.0004
    storage: float = 0.023

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise ConfigurationError(f"{field.name}_price={value!r} must be a number of at least 0, in US dollars")
