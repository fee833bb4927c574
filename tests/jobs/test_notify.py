"""`--notify` of the commands: after the commit, again where a run had finished, and secrets are shown nowhere."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator

import pytest

from beam_s3box.cli.main import main
from beam_s3box.engine.run_reader import find_run
from beam_s3box.notify import web as web_target
from beam_s3box.stores import open_store
from beam_s3box.stores.retries import Retry
from tests.cli.conftest import Ended
from tests.notify.web_server import Web, web_server

NAMING = ("--domain_field=d", "--namespace_field=n")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(web_target, "_RETRY", Retry(max_attempts=2, base_seconds=0.01))
    with web_server() as server:
        yield server


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return lambda *arguments: Ended(main(list(arguments)), *capfd.readouterr())


@pytest.mark.parametrize("command", ["backfill", "pack"])
def test_a_run_that_is_committed_is_announced(
    run: Callable[..., Ended], web: Web, records: str, tmp_path: pathlib.Path, command: str
) -> None:
    place = f"{tmp_path}/out"
    arguments = (command, f"--input={records}", f"--destination={place}", *NAMING, "--run_id=r")
    ended = run(*arguments, f"--notify={web.url}/s3cr3t")
    assert ended.code == 0, ended.err
    [body] = web.bodies
    assert (body["type"], body["run_id"], body["url"]) == ("run", "r", f"file://{place}/runs/r.json")
    assert (body["records"], body["dead_letters"], body["manifests"]) == (60, 1, 4)
    assert "s3cr3t" not in open_store(place).get("runs/r.json").decode()
    again = run(*arguments, f"--notify={web.url}/s3cr3t", "--if_finished=skip")
    assert (again.code, web.bodies) == (0, [body, body])


@pytest.mark.parametrize("command", ["backfill", "pack"])
def test_one_that_fails_names_what_counts(
    run: Callable[..., Ended], web: Web, records: str, tmp_path: pathlib.Path, command: str
) -> None:
    web.statuses = [500] * 9
    place = f"{tmp_path}/out"
    ended = run(
        command, f"--input={records}", f"--destination={place}", *NAMING, "--run_id=r", "--log_level=debug",
        f"--notify={web.url}/s3cr3t?t=s3cr3t",
    )  # fmt: skip
    assert ended.code == 1
    assert (
        f"run r is committed, file://{place}/runs/r.json with 60 records in 4 shards, and counts, but {web.url}/…"
        in (ended.err)
    )
    assert "s3cr3t" not in ended.err + ended.out
    assert find_run(open_store(place), "r").record.state == "finished"


def test_a_redrive_is_announced(run: Callable[..., Ended], web: Web, records: str, tmp_path: pathlib.Path) -> None:
    place = f"{tmp_path}/out"
    assert run("pack", f"--input={records}", place, *NAMING, "--run_id=r", f"--notify={web.url}/s3cr3t").code == 0
    (tmp_path / "fix.py").write_text("def fix(letter):\n    return {'d': 'web', 'n': 'late'}")
    assert run("redrive", place, f"--map={tmp_path}/fix.py:fix").code == 0
    assert len(web.bodies) == 1, "the first run's address is not in its record"
    ended = run("redrive", place, "--run_id=r", f"--map={tmp_path}/fix.py:fix", f"--notify={web.url}/x")
    assert ended.code == 0, ended.err


def test_a_target_that_is_none_starts_nothing(run: Callable[..., Ended], records: str, tmp_path: pathlib.Path) -> None:
    ended = run("pack", f"--input={records}", f"{tmp_path}/out", *NAMING, "--notify=http://host/s3cr3t")
    assert (ended.code, json.dumps(ended.out)) == (2, '""')
    assert "notify='http://host…' must be https" in ended.err
    assert not (tmp_path / "out").exists()


def test_the_configuration_does_not_show_it(run: Callable[..., Ended]) -> None:
    ended = run("config", "pack", "--notify=https://host/s3cr3t")
    assert "# notify is set, and not shown" in ended.out
    assert "s3cr3t" not in ended.out
