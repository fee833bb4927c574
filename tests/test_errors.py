"""The tree of errors: each survives a pickle and a rebuild from its message, and the drawing is the truth."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from beam_s3box import errors
from beam_s3box.errors import RecordError, S3BoxError

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == errors.__name__
]
MESSAGE = "bucket='b' key='k': SlowDown after 8 attempts, \u00e4"


@pytest.mark.parametrize("kind", CLASSES)
def test_survives_a_pickle(kind: type[S3BoxError]) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(kind(MESSAGE), protocol))
        assert type(again) is kind
        assert str(again) == MESSAGE


@pytest.mark.parametrize("kind", CLASSES)
def test_survives_a_rebuild_from_its_message(kind: type[S3BoxError]) -> None:
    """Beam rebuilds a worker's error this way, and wraps it in RuntimeError if that fails."""
    error = kind(MESSAGE)
    again = type(error)(f"{error} [while running 'Step']")
    assert type(again) is kind
    assert str(again) == f"{MESSAGE} [while running 'Step']"


@pytest.mark.parametrize("kind", CLASSES)
def test_needs_no_message(kind: type[S3BoxError]) -> None:
    assert str(kind()) == ""
    assert str(copy.copy(kind(MESSAGE))) == MESSAGE


def test_record_error_keeps_its_reason() -> None:
    error = RecordError("too big", "too-large")
    assert (str(error), error.reason) == ("too big", "too-large")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason) == ("too big", "too-large")
    assert copy.deepcopy(error).reason == "too-large"


def test_the_drawing_names_each_class_once_under_its_parent() -> None:
    drawn: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if not line.startswith("    "):
            continue
        match = re.match(r"[\s│├└─]*", line)
        indent = len(match[0]) if match else 0
        name = line[indent:].split()[0]
        path = [(depth, above) for depth, above in path if depth < indent]
        assert name not in drawn
        drawn[name] = path[-1][1] if path else None
        path.append((indent, name))
    assert drawn == {kind.__name__: parent_of(kind) for kind in CLASSES}


def parent_of(kind: type[BaseException]) -> str | None:
    return next((base.__name__ for base in kind.__bases__ if base in CLASSES), None)


def test_the_drawing_says_which_are_value_errors() -> None:
    for kind in CLASSES:
        line = next(line for line in (errors.__doc__ or "").splitlines() if re.search(rf"\b{kind.__name__}\b", line))
        if "also a ValueError" in line:
            assert ValueError in kind.__bases__
        else:
            assert ValueError not in kind.__bases__


def test_each_class_says_what_it_is() -> None:
    for kind in CLASSES:
        assert kind.__doc__
        assert kind.__doc__.strip().split("\n")[0].endswith((".", ","))
