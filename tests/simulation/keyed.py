"""State and timers of keys as a runner keeps them: what a bundle changes counts when the bundle is committed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec
from apache_beam.utils.timestamp import Timestamp


class Due(NamedTuple):
    """When a timer is due, in microseconds; by the watermark, or by the clock."""

    at: int
    by_watermark: bool


@dataclasses.dataclass(frozen=True)
class KeyState:
    """The state and the timers of one key; it is replaced, and never changed.

    Attributes:
      values: encoded, by the name of the state; those of a bag as a tuple.
      timers: that are set, by name.
    """

    values: Mapping[str, Any]
    timers: Mapping[str, Due]

    def without(self, timer: str) -> KeyState:
        """Return the state after a timer has fired."""
        return KeyState(self.values, {name: due for name, due in self.timers.items() if name != timer})


EMPTY: Final = KeyState({}, {})


class BundleState:
    """What one bundle sees and changes; a State of the graph."""

    def __init__(self) -> None:
        self._before: Mapping[Any, KeyState] = {}
        self.changed: dict[Any, KeyState] = {}

    def begin(self, before: Mapping[Any, KeyState]) -> None:
        """Start a bundle on what is committed."""
        self._before, self.changed = before, {}

    def of(self, key: Any) -> KeyState:
        return self.changed[key] if key in self.changed else self._before.get(key, EMPTY)

    def fire(self, key: Any, timer: str) -> None:
        """Note that a timer is about to be called: it is no longer set."""
        self.changed[key] = self.of(key).without(timer)

    def write(self, key: Any, name: str, value: Any) -> None:
        state = self.of(key)
        self.changed[key] = KeyState({**state.values, name: value}, state.timers)

    def clear(self, key: Any, name: str) -> None:
        state = self.of(key)
        self.changed[key] = KeyState({one: value for one, value in state.values.items() if one != name}, state.timers)

    def set_timer(self, key: Any, name: str, due: Due) -> None:
        state = self.of(key)
        self.changed[key] = KeyState(state.values, {**state.timers, name: due})

    def get_state(self, spec: Any, key: Any, window: Any) -> Any:
        return (_Bag if isinstance(spec, BagStateSpec) else _Cell)(self, spec, key)

    def get_timer(self, spec: Any, key: Any, window: Any, timestamp: Any, pane: Any) -> Any:
        return _Timer(self, spec, key)

    def commit(self) -> None: ...

    def reset(self) -> None: ...


class _Cell:
    def __init__(self, state: BundleState, spec: Any, key: Any) -> None:
        self._state = state
        self._spec = spec
        self._key = key

    def read(self) -> Any:
        value = self._state.of(self._key).values.get(self._spec.name)
        return None if value is None else self._spec.coder.decode(value)

    def write(self, value: Any) -> None:
        self._state.write(self._key, self._spec.name, self._spec.coder.encode(value))

    def clear(self) -> None:
        self._state.clear(self._key, self._spec.name)


class _Bag(_Cell):
    def read(self) -> Iterator[Any]:
        return map(self._spec.coder.decode, self._values())

    def add(self, value: Any) -> None:
        self._state.write(self._key, self._spec.name, (*self._values(), self._spec.coder.encode(value)))

    def _values(self) -> tuple[bytes, ...]:
        return self._state.of(self._key).values.get(self._spec.name, ())  # type: ignore[no-any-return]


class _Timer:
    def __init__(self, state: BundleState, spec: Any, key: Any) -> None:
        self._state = state
        self._spec = spec
        self._key = key

    def set(self, at: Any) -> None:
        due = Due(Timestamp.of(at).micros, self._spec.time_domain == TimeDomain.WATERMARK)
        self._state.set_timer(self._key, self._spec.name, due)

    def clear(self) -> None:
        self._state.fire(self._key, self._spec.name)
