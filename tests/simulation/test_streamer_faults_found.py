"""Faults that the streamer had, and others, put back: its schedules find each of them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from beam_s3box.streamer import journal
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.journal import Journal
from beam_s3box.streamer.stream import OpenStream
from tests.simulation import streamer
from tests.simulation.locks import lines_of
from tests.simulation.put_back import PutBack
from tests.simulation.schedules import run

FAULTS: Final = {
    "records are moved in two steps": PutBack(
        Journal,
        "_put",
        "        self._state = _State(size + len(data), records + len(lines), [])\n",
        "        self._state = self._state._replace(size=size + len(data), records=records + len(lines))\n"
        "        self._state = self._state._replace(held=[])\n",
        ("duplicated",),
    ),
    "a buffer stays next to its finished file after EMFILE": PutBack(
        Folder,
        "finish",
        "            self._describe(sealed, sealed.description)\n",
        "            if size_of(self.path_of(sealed.name, 'ready')) is not None:\n"
        "                return sealed.file\n"
        "            self._describe(sealed, sealed.description)\n",
        ("duplicated", "left"),
    ),
    "a torn write stays in the file": PutBack(
        Journal,
        "_put",
        "        if self._dirty:\n            self._truncate_torn_write()\n",
        "",
        ("lost", "duplicated", "was never appended"),
    ),
    "a buffer whose seal failed takes records": PutBack(
        OpenStream, "_seal", "            buffer.full = True\n", "", ("lost", "duplicated", "left", ".damaged")
    ),
}

WORLDS: Final[dict[str, dict[str, Any]]] = {
    "records are moved in two steps": {"_DURABILITIES": ("memory",), "_LINES": lines_of(journal), "_SIGNALS": 16},
    "a torn write stays in the file": {"_LINES": lines_of(journal), "_SIGNALS": 16},
}
"""Worlds that are rare among all, so that few schedules suffice."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_is_put_back_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    monkeypatch.setattr(fault.owner, fault.name, fault.function())
    for setting, value in WORLDS.get(name, {}).items():
        monkeypatch.setattr(streamer, setting, value)
    found = run("streamer", range(1_500))
    assert found.failures, f"not found by {found.schedules} schedules"
    assert any(sign in text for text in found.failures.values() for sign in fault.signs), found.failures
