"""Values of records: lists in lists, enums, and objects for Hypothesis to draw."""

from __future__ import annotations

import enum
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)


class Kind(str, enum.Enum):  # noqa: UP042 - as older code has it: its str() is not its value
    CLICK = "click"


class Count(int, enum.Enum):
    TWO = 2


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value
