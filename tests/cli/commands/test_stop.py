"""`s3box stop`: leaves the mark, waits if asked to, and knows what can't be stopped."""

from __future__ import annotations

import json
import pathlib
import time

import pytest

from beam_s3box.cli.commands.stop import wait_for_end
from beam_s3box.cli.main import main
from beam_s3box.engine.claims import RunClaim
from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import Store, open_store


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Store:
    return open_store(tmp_path / "box")


def stop(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["stop", *arguments])
    return code, *capfd.readouterr()


def begun(store: Store, run_id: str = "r", *, bounded: bool = False) -> RunClaim:
    claim = RunClaim(Layout(run_id), "attempt", bounded=bounded)
    claim.take(store)
    return claim


def test_a_run_is_asked_to_stop(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    layout = begun(store).layout
    with pytest.raises(ObjectNotFoundError):
        store.get(layout.stop)
    code, out, _ = stop(capfd, store.url(layout.run))
    assert (code, out) == (
        0,
        f"run r is asked to stop; {store.url(layout.run)} says `finished` when all that it read is listed\n",
    )
    assert json.loads(store.get(layout.stop))["asked"].endswith("Z")
    assert stop(capfd, store.root, "--run_id=r")[0] == 0, "again, and by its id"


def test_an_answer_as_json(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    url = store.url(begun(store).layout.run)
    code, out, _ = stop(capfd, url, "--json")
    assert (code, json.loads(out)) == (0, {"run_id": "r", "url": url, "state": "running"})


@pytest.mark.parametrize(("state", "code", "said"), [("finished", 0, "has ended"), ("failed", 1, "has failed")])
def test_a_run_that_has_ended_is_not_asked(
    store: Store, capfd: pytest.CaptureFixture[str], state: str, code: int, said: str
) -> None:
    claim = begun(store)
    if state == "finished":
        claim.end(store)
    else:
        claim.fail(store, "lost")
    assert stop(capfd, store.url(claim.layout.run))[:2] == (code, f"run r {said}\n")
    with pytest.raises(ObjectNotFoundError):
        store.get(claim.layout.stop)


def test_a_wait_that_is_too_short_is_no_success(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    url = store.url(begun(store).layout.run)
    assert stop(capfd, url, "--wait=100ms")[0] == 1


def test_it_waits_until_the_run_has_ended(store: Store) -> None:
    claim = begun(store)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            claim.end(store)

    assert wait_for_end(store, "r", 60, time.monotonic, sleep).record.state == "finished"
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the run is missing: give the URL of its record"),
        (["{root}"], "is not the URL of a run's record: add /runs/ID.json, or give --run_id"),
        (["{root}/runs/r2.json"], "run_id='r2' names no run below {root}, which has r; did you mean 'r'?"),
        (["{root}/runs/r.json", "--wait=0"], "--wait: '0' must be a number of seconds above 0"),
    ],
)
def test_what_can_not_work(store: Store, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    begun(store)
    code, _, err = stop(capfd, *(argument.format(root=store.root) for argument in arguments))
    assert code == 2
    assert message.format(root=store.root) in err


def test_a_bounded_run_ends_with_its_input(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = stop(capfd, store.url(begun(store, bounded=True).layout.run))
    assert code == 2
    assert "run r is bounded, and ends when its input does" in err
