"""A store whose process is killed at one of its requests."""

from __future__ import annotations

from typing import Any

from beam_s3box.stores import Store


class Dead(BaseException):
    """The process was killed."""


class Mortal:
    """A store that works until a number of calls is reached, and then for nobody: the process is dead."""

    def __init__(self, store: Store, calls: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, calls, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name in ("url", "now"):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0 or (self._left == 0 and not self._after):
                raise Dead
            result = found(*arguments, **named)
            if name == "list":
                result = iter(list(result))
            if self._left == 0:
                raise Dead
            return result

        return call
