"""What becomes of a dead letter before it is tried again: a function of the user's, or nothing."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.records.encoding import (
    CSV_ROW_LENGTH,
    INVALID_UTF8,
    MAP_FAILED,
    NOT_AN_EVENT,
    NOT_AN_OBJECT,
    OBJECT_GONE,
    OBJECT_REPLACED,
    UNREADABLE_FILE,
    UNSUPPORTED_VALUE,
    encode_record,
)
from beam_s3box.records.json_values import as_mapping

NEEDS_FIX: Final = (
    UNSUPPORTED_VALUE,
    CSV_ROW_LENGTH,
    INVALID_UTF8,
    NOT_AN_EVENT,
    UNREADABLE_FILE,
    OBJECT_GONE,
    OBJECT_REPLACED,
)
"""Reasons whose dead letters hold something else than the record: without a function they stay what they are."""

_SHORTEST: Final = len("{}")
_MODULE: Final = "beam_s3box_map_file"


class StillBad(NamedTuple):
    """Why a dead letter can't be tried again."""

    reason: str
    detail: str


class Fix:
    """Turns dead letters into records.

    Args:
      function: takes a DeadLetter and returns the record: a mapping, or JSON as text or bytes; None for no function.
    """

    def __init__(self, function: Callable[[DeadLetter], Any] | None = None) -> None:
        self._function = function

    @property
    def changes(self) -> bool:
        """Whether there is a function."""
        return self._function is not None

    def apply(self, letter: DeadLetter) -> bytes | StillBad:
        """Return the record as JSON, or why there is none."""
        if self._function is None:
            return StillBad(letter.reason, letter.detail) if letter.reason in NEEDS_FIX else letter.raw
        try:
            record = self._function(letter)
            return _encode(record)
        except RecordError as exc:
            return StillBad(exc.reason, str(exc))
        except Exception as exc:  # noqa: BLE001 - the user's code: the record stays a dead letter that says why
            return StillBad(MAP_FAILED, f"the map function raised {type(exc).__name__}: {exc}")


NO_FIX: Final = Fix()
"""Tries dead letters as they are, for settings that were wrong."""


def load_fix(place: str) -> Fix:
    """Return the function that `FILE.py:function` names; the file is run as a module.

    Raises:
      ConfigurationError: there is no such file or function, or the file can't be run.
    """
    path, colon, name = place.rpartition(":")
    if not colon or not path.endswith(".py") or not name.isidentifier():
        raise ConfigurationError(f"map={place!r} must be FILE.py:function, as fix.py:fix")
    if not os.path.isfile(path):
        raise ConfigurationError(f"map={place!r}: there is no file {path!r}")
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"map={place!r}: {path!r} can't be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        raise ConfigurationError(f"map={place!r}: {path} raised {type(exc).__name__}: {exc}") from exc
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigurationError(f"map={place!r}: {path!r} has no function {name!r}")
    return Fix(function)


def _encode(record: Any) -> bytes:
    """Return a record as JSON, each time as an object of its own: a packer knows lines by that."""
    if isinstance(record, str):
        record = record.encode("utf-8", "surrogatepass")
    if isinstance(record, bytes):
        if len(record) < _SHORTEST:
            raise RecordError(f"the map function returned {record!r}, which is not a JSON object", NOT_AN_OBJECT)
        return bytes(memoryview(record))
    fields = as_mapping(record)
    if fields is None:
        what = "returned None" if record is None else f"returned a {type(record).__name__}"
        raise RecordError(f"the map function {what}: return the record as a mapping, or as JSON", MAP_FAILED)
    return encode_record(fields)
