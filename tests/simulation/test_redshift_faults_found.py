"""Faults of the loader, put back: its schedules find each of them."""

from __future__ import annotations

from typing import Final

import pytest

from beam_s3box.redshift.load.data_api_load import BatchLoad
from beam_s3box.redshift.load.dbapi_load import SessionLoad
from beam_s3box.redshift.load.ledger import Ledger
from beam_s3box.redshift.load.plan import Plan
from tests.simulation.loads import _url, _Warehouse
from tests.simulation.put_back import PutBack
from tests.simulation.schedules import run
from tests.simulation.threads import on_actors
from tests.simulation.world import Choices, World

FAULTS: Final = {
    "the ledger is not locked": PutBack(
        Ledger, "lock", 'return f"LOCK TABLE {self.name.sql}"', 'return "SELECT 1"', ("(", "loads that failed")
    ),
    "the ledger is read before it is locked": PutBack(
        SessionLoad,
        "_look_up",
        "        try:\n            session.execute(self._plan.ledger.lock())\n",
        "        try:\n            session.query(self._plan.ledger.look_up(self._plan.urls))\n"
        "            session.execute(self._plan.ledger.lock())\n",
        ("(",),
    ),
    "the ledger is not written": PutBack(
        Plan,
        "finish",
        "        yield from self.ledger.record(decision.load, self.merge.mode)\n",
        "        yield from ()\n",
        ("the ledger knows nothing",),
    ),
    "a batch does not check the ledger": PutBack(
        BatchLoad,
        "steps",
        '            Step(plan.ledger.guard(plan.urls, decision.entries), "ledger"),\n',
        "",
        ("(",),
    ),
    "an aborted batch has loaded nothing": PutBack(
        BatchLoad,
        "_explain",
        '            return TransientLoadError(f"loading into {self._plan.target}: {answer.message}")\n',
        "            self._sent = None\n"
        '            return LoadError(f"loading into {self._plan.target}: {answer.message}")\n',
        ("loads that failed are in the table",),
    ),
    "a manifest that was written again is loaded next to its earlier self": PutBack(
        Ledger,
        "_is_loaded",
        '        return on_replaced == "skip"\n',
        "        return False\n",
        ("(",),
    ),
    "rows that COPY loaded are not counted": PutBack(
        Plan, "check_rows", "        if not least <= rows <= most:\n", "        if False:\n", ("(",)
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_is_put_back_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    monkeypatch.setattr(fault.owner, fault.name, fault.function())
    found = run("redshift", range(1_500))
    assert found.failures, f"not found by {found.schedules} schedules"
    assert any(sign in text for text in found.failures.values() for sign in fault.signs), found.failures


def test_an_upsert_keeps_the_rows_that_a_manifest_lists_no_longer() -> None:
    """Seed 105402: a version with a record more was loaded before; without that row, a row would be lost."""
    world = World(Choices(given=[0, 2]), trouble=0.0)
    with on_actors(world):
        warehouse = _Warehouse(world, world.choices)
        assert (warehouse.mode, warehouse.on_replaced) == ("upsert", "reload")
        for more in (1, 0):
            warehouse.write(2, more=more)
            actor = world.spawn("loader", lambda: warehouse.load([0, 1, 2, 3]))
            world.run(lambda actor=actor: actor.ended)  # type: ignore[misc]
            assert actor.error is None
    assert warehouse.server.sizes[_url(2)] == [4, 3]
    warehouse.check()
    for one in (23, 22):
        warehouse.server.rows[one] -= 1
        with pytest.raises(AssertionError):
            warehouse.check()
        warehouse.server.rows[one] += 1
