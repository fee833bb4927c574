"""Checks of arguments that many parts of the package use."""

from __future__ import annotations

import math

from beam_s3box.errors import ConfigurationError


def check_whole(name: str, value: object, least: int, most: int | None = None, hint: str = "") -> int:
    """Return the value if it is a whole number within bounds; True and False are not numbers.

    Args:
      name: the name of the parameter.
      value: the value that was given for it.
      least: the lower bound.
      most: the upper bound; None for none.
      hint: the end of the message.

    Raises:
      ConfigurationError: it is not a whole number, or out of bounds.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value and (most is None or value <= most):
        return value
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise ConfigurationError(f"{name}={value!r} must be a whole number {bounds}{hint}")


def check_positive(name: str, value: object, hint: str = "") -> float:
    """Return the value if it is a finite number of seconds above 0; True is not a number.

    Args:
      name: the name of the parameter.
      value: the value that was given for it.
      hint: the end of the message.

    Raises:
      ConfigurationError: it is not a number, not finite, or not above 0.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return value
    raise ConfigurationError(f"{name}={value!r} must be a number of seconds above 0{hint}")
