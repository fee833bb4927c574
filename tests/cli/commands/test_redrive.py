"""`redrive` as its users call it: with the settings of the first run, or others; killed at every request on real S3."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import pathlib
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.cli.main import main
from beam_s3box.engine.run_reader import find_run, list_runs
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store, Store, open_store
from tests.cli.conftest import PATIENCE, Ended, server_variables
from tests.runs.redrive.runs_with_letters import listed, raws
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import REGION, Server

LINES = [
    *({"kind": f"k{i % 2}", "i": i, "at": "2024-01-01"} for i in range(8)),
    *({"kynd": "k0", "i": 100 + i, "at": f"2024-01-0{1 + i % 2}"} for i in range(6)),
]
TEXT = "".join(json.dumps(line) + "\n" for line in LINES) + "nope\n"
FIX = "import json\n\ndef fix(letter):\n    record = json.loads(letter.raw)\n    record['kind'] = record.pop('kynd')\n    return record\n"
TEMPLATE = (
    "data/domain={domain}/kind={namespace}/dt={window_start:%Y-%m-%d}/{run_id}-{origin}-{sequence}-{digest}{extension}"
)


@pytest.fixture
def fix(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "fix.py"
    path.write_text(FIX)
    return f"--map={path}:fix"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> Callable[..., Ended]:
    (tmp_path / "in.jsonl").write_text(TEXT)

    def call(*arguments: str) -> Ended:
        code = main(list(arguments))
        return Ended(code, *capfd.readouterr())

    return call


def first_run(run: Callable[..., Ended], place: object, *options: str) -> None:
    source = pathlib.Path(str(place)).parent / "in.jsonl"
    arguments = ("pack", str(place), f"--input={source}", "--domain=d", "--namespace_field=kind", "--run_id=first")
    ended = run(*arguments, *options)
    assert ended.code == 0, ended.err


def test_dead_letters_are_written_with_the_settings_of_the_first_run(
    run: Callable[..., Ended], tmp_path: pathlib.Path, fix: str
) -> None:
    place = tmp_path / "out"
    first_run(
        run, place, "--max_records=2", "--manifest_scope=run", "--manifest_count=2", f"--key_template={TEMPLATE}",
        "--timestamp_field=at", "--window=fixed:1d",
    )  # fmt: skip
    ended = run("redrive", str(place), "--reason=missing-stream", fix)
    assert ended.code == 0, ended.err
    assert "6 records read = 6 listed + 0 dead letters" in ended.out
    store = open_store(str(place))
    [child] = [each for each in list_runs(store) if each.record.parent == "first"]
    assert sorted(record["i"] for record in listed(store, child)) == list(range(100, 106))
    shards = [one.shard for one in child.shards()]
    assert max(shard.records for shard in shards) == 2
    assert {shard.key.split("/")[3] for shard in shards} == {"dt=2024-01-01", "dt=2024-01-02"}
    assert [manifest.domain for manifest in child.manifests()] == [None] * 4
    assert child.record.kind == "redrive"


def test_the_rest_and_what_is_said_of_it(run: Callable[..., Ended], tmp_path: pathlib.Path, fix: str) -> None:
    place = tmp_path / "out"
    first_run(run, place)
    assert run("redrive", str(place), "--reason=missing-stream", fix).code == 0
    ended = run("redrive", f"{place}/runs/first.json", "--json")
    values = json.loads(ended.out)
    assert (ended.code, values["parent"]) == (0, "first")
    assert [(one["records_in"], one["dead_letters"], one["redriven_before"]) for one in values["runs"]] == [
        (6, 0, True),
        (1, 1, False),
    ]
    child = values["runs"][1]["run_id"]
    assert f"still bad: when it is mended, s3box redrive file://{place} --run_id {child}" in ended.err
    assert raws(find_run(open_store(str(place)), child)) == collections.Counter([b"nope"])
    again = run("redrive", str(place), "--run_id=first")
    assert (again.code, again.out.count("nothing was done")) == (0, 2)


@pytest.mark.parametrize(("template", "folders"), [(None, {"k0"}), (TEMPLATE, {"dt=2024-01-01", "dt=2024-01-02"})])
def test_windows_of_a_stream_are_those_of_its_keys(
    run: Callable[..., Ended], tmp_path: pathlib.Path, fix: str, template: str | None, folders: set[str]
) -> None:
    """A stream takes records without a time, and so does a redrive unless the keys have it."""
    place = tmp_path / "out"
    first_run(run, place)
    store = open_store(str(place))
    record = find_run(store, "first").record
    chosen = {"timestamp_field": "at", **({"key_template": template} if template else {})}
    body = dataclasses.replace(record, kind="stream", settings={**record.settings, **chosen}).render()
    store.put("runs/first.json", body, sha256=hashlib.sha256(body).hexdigest(), content_type="x", replace=True)
    ended = run("redrive", str(place), "--reason=missing-stream", fix)
    assert ended.code == 0, ended.err
    [child] = [each for each in list_runs(store) if each.record.parent == "first"]
    assert {one.shard.key.split("/")[-2] for one in child.shards()} == folders
    assert len(listed(store, child)) == 6


def test_other_settings_take_the_place_of_those_of_the_record(
    run: Callable[..., Ended], tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "out"
    first_run(run, place, "--max_records=2")
    ended = run("redrive", str(place), "--namespace=late", "--max_records=100", "--manifest_count=0", "--run_id=first")
    assert ended.code == 0, ended.err
    store = open_store(str(place))
    [child] = [each for each in list_runs(store) if each.record.parent == "first"]
    assert [(one.shard.namespace, one.shard.records) for one in child.shards()] == [("late", 6)]
    assert child.record.manifests == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "the URL is missing"),
        (("{}/nowhere",), "which does not exist"),
        (("{}/out", "--run_id=frist"), "did you mean 'first'?"),
        (
            ("{}/out/runs/first.json", "--run_id=other"),
            "is the record of the run 'first', and --run_id='other' is another",
        ),
        (("{}/out", "--reason=not-jsn"), "it has missing-stream (6), not-json (1)"),
        (("{}/out", "--map=fix"), "map='fix' must be FILE.py:function"),
        (("{}/out", "--window=fixed:1d"), "--window='fixed:1d' needs the field"),
        (("{}/out", "--domain=a", "--domain_field=b"), "mutually exclusive"),
        (("{}/out", "--format=avro"), "needs a schema"),
        (("{}/out", "--mismatch=x"), "--mismatch"),
        (("{}/out", "--max_records=0"), "max_records=0"),
    ],
)
def test_what_can_not_work_starts_nothing(
    run: Callable[..., Ended], tmp_path: pathlib.Path, options: tuple[str, ...], message: str
) -> None:
    first_run(run, tmp_path / "out")
    before = sorted(info.key for info in open_store(str(tmp_path / "out")).list())
    ended = run("redrive", *(option.format(tmp_path) for option in options))
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert sorted(info.key for info in open_store(str(tmp_path / "out")).list()) == before


def check_all(store: Store) -> None:
    """Check that each dead letter of the first run is in one finished redrive."""
    found = [each for each in list_runs(store) if each.record.parent == "first" and each.record.state == "finished"]
    assert sorted(record["i"] for each in found for record in listed(store, each)) == list(range(100, 106))
    assert sum(each.record.input.rejected for each in found if each.record.input) == 1


def test_killed_at_every_request(
    start: Callable[..., subprocess.Popen[bytes]],
    run: Callable[..., Ended],
    s3_server: Server,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    note: Callable[[str], None],
) -> None:
    (tmp_path / "fix.py").write_text(FIX)
    for name, value in server_variables(s3_server).items():
        monkeypatch.setenv(name, value)
    settings, tried, is_over = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION), 0, False
    with s3_proxy(s3_server.endpoint_url) as proxy:
        while not is_over:
            store = S3Store(f"s3://{s3_server.bucket}/{new_token(12)}", settings, s3_server.writer)
            naming = ("--domain=d", "--namespace_field=kind", "--run_id=first")
            packed = run("pack", store.root, f"--input={tmp_path}/in.jsonl", *naming)
            assert packed.code == 0, packed.err
            count, lock, started = 0, threading.Lock(), threading.Event()
            process: subprocess.Popen[bytes] | None = None

            def kill(request: Request) -> Fault | None:
                """Kill it when the request has arrived, or when the server has answered it."""
                nonlocal count
                started.wait(PATIENCE)  # noqa: B023 - the rule is replaced before the next round
                with lock:  # noqa: B023
                    count += 1
                    if count != tried + 1 or process is None:  # noqa: B023
                        return None
                process.kill()  # noqa: B023
                return Fault(0, "", after=tried % 2 == 1)  # noqa: B023

            arguments: tuple[Any, ...] = ("redrive", store.root, "--run_id=first", f"--map={tmp_path}/fix.py:fix")
            proxy.rule = kill
            process = start(*arguments, env={"AWS_ENDPOINT_URL": proxy.endpoint_url})
            started.set()
            process.communicate(timeout=PATIENCE)
            proxy.rule = lambda request: None
            is_over = process.returncode == 0
            if not is_over:
                assert process.returncode == -signal.SIGKILL
                tried += 1
                again = run(*arguments)
                assert again.code == 0, again.err
            check_all(store)
    note(f"redrive killed at {tried} requests")
    assert tried >= 8


def test_a_map_function_that_always_fails_is_an_error_and_the_letters_are_kept(
    run: Callable[..., Ended], tmp_path: pathlib.Path, fix: str
) -> None:
    place = tmp_path / "out"
    first_run(run, place)
    (tmp_path / "broken.py").write_text("def fix(letter):\n    return 1 / 0\n")
    ended = run("redrive", str(place), "--reason=missing-stream", f"--map={tmp_path}/broken.py:fix")
    assert ended.code == 1
    [child] = [each.run_id for each in list_runs(open_store(str(place))) if each.record.parent == "first"]
    assert "division by zero, with every one of the 6 dead letters" in ended.err
    assert f"s3box redrive {open_store(str(place)).root} --run_id {child} --map" in ended.err
    ended = run("redrive", str(place), f"--run_id={child}", fix)
    assert ended.code == 0, ended.err
    assert "6 records read = 6 listed + 0 dead letters" in ended.out


def test_the_newest_run_that_has_dead_letters(run: Callable[..., Ended], tmp_path: pathlib.Path, fix: str) -> None:
    place = tmp_path / "out"
    first_run(run, place, "--max_records=2")
    good = tmp_path / "good.jsonl"
    good.write_text('{"kind": "k0"}\n')
    newer = run("pack", str(place), f"--input={good}", "--domain=d", "--namespace_field=kind", "--run_id=newer")
    assert newer.code == 0
    assert run("compact", str(place), "--run_id=first").code == 0
    store = open_store(str(place))
    [compaction] = [each.run_id for each in list_runs(store) if each.record.kind == "compact"]
    ended = run("redrive", str(place), "--reason=missing-stream", fix)
    assert ended.code == 0, ended.err
    ended = run("redrive", str(place), f"--run_id={compaction}", "--reason=not-json")
    assert ended.code == 0, ended.err
    assert {each.record.parent for each in list_runs(store) if each.record.kind == "redrive"} == {"first"}
    assert sum(each.record.size.records for each in list_runs(store) if each.record.kind == "redrive") == 6
