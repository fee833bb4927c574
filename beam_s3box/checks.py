"""Checks of arguments that many parts of the package share."""

from __future__ import annotations

from beam_s3box.errors import ConfigurationError


def check_whole(name: str, value: object, least: int, most: int | None = None, hint: str = "") -> int:
    """Return a whole number within bounds; True and False are none.

    Args:
      name: of the parameter.
      value: that was given for it.
      least: that it may be.
      most: that it may be; None for no upper bound.
      hint: ends the message.

    Raises:
      ConfigurationError: it is not a whole number, or out of bounds.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value and (most is None or value <= most):
        return value
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise ConfigurationError(f"{name}={value!r} must be a whole number {bounds}{hint}")
