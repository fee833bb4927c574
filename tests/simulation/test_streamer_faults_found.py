"""Faults that the streamer had, put back: schedules find each of them, and shorten it."""

from __future__ import annotations

import __future__
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.streamer import recovery
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.journal import Journal
from beam_s3box.streamer.stream import OpenStream
from tests.simulation.schedules import run

MOST = 1_500
"""Schedules until a fault must have been found."""

FAULTS: dict[str, tuple[Any, str, str, str, str]] = {
    "records are moved in two steps": (
        Journal,
        "_put",
        "        self._state = _State(size + len(data), records + len(lines), [])\n",
        "        self._state = self._state._replace(size=size + len(data), records=records + len(lines))\n"
        "        self._state = self._state._replace(held=[])\n",
        "doubled",
    ),
    "a buffer stays next to its finished file": (
        Folder,
        "finish",
        "            self._describe(sealed, sealed.description)\n",
        "            if size_of(self.path_of(sealed.name, 'ready')) is not None:\n"
        "                return sealed.file\n"
        "            self._describe(sealed, sealed.description)\n",
        "doubled|left",
    ),
    "a torn write stays in the file": (
        Journal,
        "_put",
        "        if self._dirty:\n            self._truncate_torn_write()\n",
        "",
        "lost|doubled",
    ),
    "a sync that failed is believed later": (
        Journal,
        "_sync",
        "            self._sync_failed = True\n",
        "            pass\n",
        "lost",
    ),
    "a buffer whose seal failed takes records": (
        OpenStream,
        "_seal",
        "            buffer.full = True\n",
        "",
        "lost|doubled|left",
    ),
    "a name that no process synced is trusted": (
        recovery,
        "recover",
        "        sync_folder(folder.path)\n",
        "        pass\n",
        "lost",
    ),
}


def changed(function: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """Return the function with one text of its source in the place of another."""
    source = inspect.getsource(function)
    assert source.count(old) == 1, f"change this fault with the code: {old!r}"
    text = textwrap.dedent(source.replace(old, new))
    names: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    exec(compile(text, inspect.getfile(function), "exec", flags), function.__globals__, names)  # noqa: S102
    found: Callable[..., Any] = names[function.__name__]
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_is_put_back_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, method, old, new, what = FAULTS[name]
    monkeypatch.setattr(owner, method, changed(getattr(owner, method), old, new))
    found = run("streamer", range(MOST))
    assert found.failures, f"not found by {found.schedules} schedules"
    assert any(word in text for text in found.failures.values() for word in what.split("|")), found.failures
    print(f"{name}: found by schedule {found.schedules}: {found.failures}")
