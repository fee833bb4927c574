"""`s3box runs`: what it lists of runs that finished, failed, and did neither, on a real server and in a folder."""

from __future__ import annotations

import json
import os
import pathlib
import time

import pytest

from beam_s3box import S3Box
from beam_s3box.cli.main import main
from beam_s3box.engine.claims import RunClaim
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, Store, open_store
from beam_s3box.stores.s3_settings import Credentials
from tests.s3_proxy import Fault, s3_proxy
from tools.seaweedfs import REGION, Server


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "folder":
        (tmp_path / "box").mkdir()
        return open_store(tmp_path / "box")
    server: Server = request.getfixturevalue("s3_server")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.writer.secret_key)
    settings = S3Settings(endpoint_url=server.endpoint_url, region=REGION)
    keys = Credentials(server.writer.access_key, server.writer.secret_key)
    return open_store(f"s3://{server.bucket}/{new_token(12)}", settings, lambda: keys)


def packed(store: Store, records: int) -> str:
    """Write a finished run and return its id."""
    with S3Box(store) as box:
        box.pack_many({"i": number} for number in range(records))
    box.create_manifests()
    return box.run_id


def runs(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["runs", *arguments])
    return code, *capfd.readouterr()


def test_runs_are_listed_newest_first(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    RunClaim(Layout("begun"), "a").take(store)
    failed = RunClaim(Layout("bad"), "a", bounded=False)
    failed.take(store)
    failed.fail(store, "no more \x1b[31mdisk")
    done = packed(store, 1_000)
    code, out, err = runs(capfd, store.root, "--json")
    found = {run["run_id"]: run for run in json.loads(out)}
    assert (code, err, list(found)[-1] in (done, "bad", "begun"), len(found)) == (0, "", True, 3)
    assert {name: run["state"] for name, run in found.items()} == {
        done: "finished",
        "bad": "failed",
        "begun": "unfinished",
    }
    assert (found[done]["records"], found[done]["shards"], found[done]["kind"]) == (1_000, 1, "S3Box")
    assert found[done]["url"] == f"{store.root}/runs/{done}.json"
    assert (found["bad"]["error"], found["bad"]["records"]) == ("no more \x1b[31mdisk", None)
    code, out, _ = runs(capfd, store.root)
    lines = out.splitlines()
    assert (code, lines[0].split()) == (
        0,
        ["run", "state", "kind", "records", "shards", "on", "S3", "dead", "letters", "began", "took"],
    )
    assert any(line.startswith(done) and " finished  S3Box    1,000       1 " in line for line in lines)
    assert "\x1b" not in out


def test_only_some(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    first, last = packed(store, 1), packed(store, 2)
    assert {run["run_id"] for run in json.loads(runs(capfd, store.root, "--json")[1])} == {first, last}
    assert [run["run_id"] for run in json.loads(runs(capfd, f"{store.root}/runs/{first}.json", "--json")[1])] == [first]
    assert len(json.loads(runs(capfd, store.root, "--json", "--newest=1")[1])) == 1
    code, _, err = runs(capfd, store.root, "--newest=0")
    assert (code, "newest=0 must be a whole number of at least 1" in err) == (2, True)


def test_of_a_place_without_runs(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    assert runs(capfd, store.root) == (0, f"no runs below {store.root}\n", "")
    assert runs(capfd, store.root, "--json") == (0, "[]\n", "")


@pytest.mark.parametrize("name", ["runs", "report", "verify", "compact", "gc", "redrive", "stop", "load"])
def test_a_folder_that_does_not_exist_is_an_error(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = ["--redshift_table=t", "--redshift_iam_role=default", "--redshift_dsn=redshift://u@h/d"]
    named = [] if name in ("runs", "gc") else ["--run_id=r"]
    code = main([name, "box/p1", *named, *(table if name == "load" else [])])
    said = capfd.readouterr().err
    assert (code, "which does not exist; for a bucket write 's3://box/p1'" in said) == (2, True), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"streams": 1}'])
def test_an_object_of_others_is_named_and_all_else_works(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    done = packed(open_store(tmp_path), 3)
    theirs = tmp_path / "runs" / "theirs.json"
    theirs.write_text(text)
    # the commands look at the newest first
    os.utime(theirs, (time.time() + 10, time.time() + 10))
    code, out, err = runs(capfd, str(tmp_path), "--json")
    assert (code, [run["run_id"] for run in json.loads(out)]) == (0, [done])
    assert err.startswith(f"not listed: file://{tmp_path}/runs/theirs.json is not the record of a run")
    assert runs(capfd, f"{tmp_path}/runs/{done}.json")[::2] == (0, "")
    for command in ("report", "verify", "compact"):
        assert main([command, str(tmp_path)]) == 0, command
        assert "runs/theirs.json is not the record of a run" in capfd.readouterr().err
    assert main(["report", str(tmp_path), "--run_id=theirs"]) == 2
    assert "give the run_id of another run, and move that object out of runs/" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("code", "why"),
    [("InvalidObjectState", "restore it first"), ("AccessDenied", "these credentials may not do this")],
)
def test_a_record_that_can_not_be_read_is_named(
    s3_server: Server, capfd: pytest.CaptureFixture[str], code: str, why: str
) -> None:
    key, secret = s3_server.writer.access_key, s3_server.writer.secret_key
    with s3_proxy(s3_server.endpoint_url) as proxy:
        settings = S3Settings(endpoint_url=proxy.endpoint_url, region=REGION)
        store = open_store(f"s3://{s3_server.bucket}/{new_token(12)}", settings, lambda: Credentials(key, secret))
        options = [f"--s3_endpoint_url={proxy.endpoint_url}", f"--s3_access_key_id={key}"]
        options += [f"--s3_region_name={REGION}", f"--s3_secret_access_key={secret}"]
        old, new = packed(store, 1), packed(store, 2)
        proxy.rule = lambda request: (
            Fault(403, code) if request.operation == "GetObject" and request.key.endswith(f"/{old}.json") else None
        )
        exit_code, out, err = runs(capfd, store.root, "--json", *options)
        assert (exit_code, [run["run_id"] for run in json.loads(out)]) == (1, [new])
        assert err.startswith("not listed: GetObject ")
        assert f"/runs/{old}.json" in err
        assert why in err
        assert main(["gc", store.root, *options]) == 0
        out = capfd.readouterr().out
        assert f"run {old} was left: " in out
        assert why in out
