"""Checks of arguments that many parts of the package use."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeVar

from beam_s3box.errors import ConfigurationError

_T = TypeVar("_T")


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


def check_bool(name: str, value: object) -> bool:
    """Return the value if it is True or False; raise ConfigurationError if not."""
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name}={value!r} must be True or False")


def check_type(name: str, value: object, kind: type[_T], fix: str) -> _T:
    """Return the value if it is of this type; raise `wrong_type` if not."""
    if isinstance(value, kind):
        return value
    raise wrong_type(name, value, with_article(kind.__name__), fix)


def check_names(name: str, value: object, fix: str) -> tuple[str, ...]:
    """Return the names in a text, which is one, or in a list or another collection of texts.

    Raises:
      ConfigurationError: the value is neither; what is in a collection is not checked.
    """
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Collection) and not isinstance(value, bytes):
        return tuple(value)
    raise wrong_type(name, value, "text or a list of texts", fix)


def wrong_type(name: str, value: object, rule: str, fix: str) -> ConfigurationError:
    """Return the error for an argument of a wrong type. The value is not shown: such arguments may hold secrets.

    Args:
      name: the name of the parameter.
      value: the value that was given for it.
      rule: what it must be.
      fix: what to write instead.
    """
    if value is None:
        given = "None"
    elif isinstance(value, type):
        given = f"the class {value.__name__}"
    else:
        given = with_article(type(value).__name__)
    return ConfigurationError(f"{name} is {given}, and must be {rule}: write {fix}")


def with_article(noun: str) -> str:
    """Return the name of a thing or a class as a sentence has it: `a list`, `an int`, `an S3Settings`."""
    # the name of the letter S begins with a vowel
    is_vowel = noun[0].lower() in "aeiou" or noun.startswith("S3")
    return f"{'an' if is_vowel else 'a'} {noun}"
