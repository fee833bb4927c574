"""`report`: runs of every kind and state, as a table, as JSON and as a page."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box import JsonBufferStreamer, Manifests, S3Box, StreamLimits, __version__
from beam_s3box.cli.main import main
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_reader import list_runs
from beam_s3box.errors import S3BoxError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import StoreUploader
from tests.cli.conftest import Ended
from tests.transforms.streams import Script, write
from tools.seaweedfs import Server

NAMING = ("--domain_field=d", "--namespace_field=n")
Run = Callable[..., Any]


def lines(number: int, names: int = 4) -> bytes:
    return b"".join(json.dumps({"d": "web", "n": f"e{at % names}", "i": at}).encode() + b"\n" for at in range(number))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(16))


@pytest.fixture
def report(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`report` in this process."""

    def run(*arguments: str) -> Ended:
        capfd.readouterr()
        return Ended(main(["report", *arguments]), *capfd.readouterr())

    return run


def values_of(report: Run, store: MemoryStore, *arguments: str) -> dict[str, Any]:
    ended = report(store.root, "--json", *arguments)
    assert (ended.code, ended.err) == (0, "")
    values: dict[str, Any] = json.loads(ended.out)
    return values


def test_the_table_of_a_pack(pack: Run, report: Run, store: MemoryStore) -> None:
    stdin = lines(60) + b'no record\n{"n":"e1"}\n'
    assert pack(store.root, *NAMING, "--max_records=5", "--run_id=nightly", stdin=stdin).code == 0
    ended = report(store.root)
    assert (ended.code, ended.err) == (0, "")
    shown = ended.out.splitlines()
    assert shown[0] == f"run nightly to {store.root}: finished"
    assert shown[1].startswith(f"pack, beam_s3box {__version__}, from ")
    [row] = [line.split() for line in shown if line.startswith("web/e0 ")]
    assert row[:3] == ["web/e0", "15", "3"]
    [total] = [line.split() for line in shown if line.startswith("4 streams ")]
    assert total[2:4] == ["60", "12"]
    assert total[-1] == "2"
    assert "62 records read = 60 listed + 2 dead letters" in shown
    assert "sealed by records 12" in ended.out
    assert "  1 not-json: not JSON: " in ended.out


def test_json_has_all_of_it(pack: Run, report: Run, store: MemoryStore) -> None:
    assert pack(store.root, *NAMING, "--max_object_bytes=2KB", stdin=lines(400, 50) + b"no record\n").code == 0
    values = values_of(report, store)
    assert (values["kind"], values["state"], values["missing"]) == ("pack", "finished", 0)
    assert (values["records_in"], values["records_listed"], values["dead_letters"]) == (401, 400, 1)
    assert values["shards"] == values["manifests"] == 50
    assert {stream["limit_bytes"] for stream in values["streams"]} == {2_000}
    # the last one has the dead letters of no stream
    assert [stream["records"] for stream in values["streams"]] == [8] * 50 + [0]
    assert values["dead_letter_reasons"][0]["example"] == "no record"
    assert values["waited_from"] == "stored"
    assert values["wait_seconds"]["most"] >= 0


def test_the_page_is_written_next_to_the_table(
    pack: Run, report: Run, store: MemoryStore, tmp_path: pathlib.Path
) -> None:
    assert pack(store.root, *NAMING, stdin=lines(60)).code == 0
    path = tmp_path / "report.html"
    ended = report(store.root, f"--html={path}")
    assert ended.out.endswith(f"page {path}\n")
    assert "4 streams" in ended.out
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    quiet = report(store.root, f"--html={path}", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_names_are_escaped_on_the_terminal(pack: Run, report: Run, store: MemoryStore) -> None:
    stdin = json.dumps({"d": "\x1b[31mred", "n": "a\u202e\nb"}).encode() + b"\n" + b'"\x1b]0;owned"\n'
    assert pack(store.root, *NAMING, stdin=stdin).code == 0
    for ended in (report(store.root), report(store.root, "--json")):
        assert ended.code == 0
        assert "\x1b" not in ended.out
        assert "\u202e" not in ended.out
    assert values_of(report, store)["streams"][0]["domain"] == "\x1b[31mred", "JSON is exact"


def test_a_run_of_many_windows(report: Run, store: MemoryStore) -> None:
    script = Script()
    for minute in range(5):
        script.add(2 * minute, at=60 * minute + 5).wait(30).add(2 * minute + 1, at=60 * minute + 40, stream="b")
        script.wait(30).watermark(60 * minute + 60)
    script.add(10, at=5).wait(10)
    write(script, store, limits=StreamLimits(max_seconds=None))
    [run] = list_runs(store)
    values = values_of(report, store, f"--run_id={run.run_id}")
    assert values["records_listed"] == 11
    assert len(values["windows"]) == 5
    assert sum(window["records"] for window in values["windows"]) == 11
    assert values["windows"][0]["manifests"] >= 3
    assert set(values["sealed_by"]) == {"window_end", "lateness"}
    assert values["waited_from"] == "first_record"
    ended = report(store.root, f"--run_id={run.run_id}")
    assert "5 windows, 1 of them listed more than once" in ended.out


def test_a_run_of_s3box(report: Run, store: MemoryStore) -> None:
    with S3Box(store) as box:
        for at in range(10):
            box.pack({"i": at})
    assert len(box.create_manifests()) == 1
    values = values_of(report, store)
    assert (values["records_listed"], values["kind"], values["shards"]) == (10, "S3Box", 1)


def test_a_life_of_a_streamer(report: Run, store: MemoryStore, tmp_path: pathlib.Path) -> None:
    uploader = StoreUploader(store)
    folder = tmp_path / "buffers"
    streamer = JsonBufferStreamer(uploader, folder, format="json-lines", compression="gzip", manifests=Manifests())
    for name in ("a", "b"):
        streamer.open("web", name)
        for at in range(10):
            streamer.append("web", name, {"i": at})
    streamer.flush()
    streamer.write_manifests()
    streamer.shut_down()
    [run] = list_runs(store)
    values = values_of(report, store, f"--run_id={run.run_id}")
    assert (values["records_listed"], values["kind"]) == (20, "JsonBufferStreamer")
    assert {stream["namespace"] for stream in values["streams"]} == {"a", "b"}


def test_runs_that_did_not_finish(report: Run, store: MemoryStore) -> None:
    claim = RunClaim(Layout("broken"), new_token())
    claim.take(store)
    ended = report(store.root, "--run_id=broken")
    assert ended.code == 0
    assert "run broken to " in ended.out
    assert "not finished; none of its manifests counts" in ended.out
    assert "nothing is listed" in ended.out
    claim.fail_by(store, S3BoxError("the disk is \x1b[31mfull"))
    ended = report(f"{store.root}/runs/broken.json")
    assert ended.code == 0
    assert "failed; none of its manifests counts" in ended.out
    assert "error: S3BoxError: the disk is \\x1b[31mfull" in ended.out


def test_on_s3(s3_server: Server, report: Run, tmp_path: pathlib.Path) -> None:
    keys = [
        f"--s3_endpoint_url={s3_server.endpoint_url}",
        f"--s3_access_key_id={s3_server.writer.access_key}",
        f"--s3_secret_access_key={s3_server.writer.secret_key}",
    ]
    (tmp_path / "in.jsonl").write_bytes(lines(2_000) + b"no record\n")
    place = f"s3://{s3_server.bucket}/report-{new_token(8)}"
    arguments = [
        f"--input={tmp_path}/in.jsonl",
        f"--destination={place}",
        *NAMING,
        "--max_object_bytes=4KiB",
        "--quiet",
    ]
    assert main(["backfill", *arguments, *keys]) == 0
    ended = report(place, "--json", f"--html={tmp_path}/report.html", *keys)
    assert ended.code == 0, ended.err
    values = json.loads(ended.out)
    assert (values["kind"], values["records_listed"], values["dead_letters"]) == ("backfill", 2_000, 1)
    assert values["runner"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "limit 4 KiB" in page
    assert s3_server.writer.secret_key not in page + ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run_id=nightli"], "run_id='nightli' names no run below memory://"),
        (["--html=/none/report.html"], "html='/none/report.html' can't be written"),
        (["--htm=x"], "--htm is not an option: did you mean --html?"),
    ],
)
def test_what_can_not_work(pack: Run, report: Run, store: MemoryStore, arguments: list[str], message: str) -> None:
    assert pack(store.root, *NAMING, "--run_id=nightly", stdin=lines(4)).code == 0
    ended = report(store.root, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {message}")


def test_a_damaged_list_is_an_error(pack: Run, report: Run, store: MemoryStore) -> None:
    assert pack(store.root, *NAMING, "--run_id=nightly", stdin=lines(4)).code == 0
    [run] = list_runs(store)
    key = run.record.shard_lists[0].key
    body = b"x" + store.get(key)[1:]
    store.put(key, body, sha256="", content_type="application/gzip", replace=True)
    ended = report(store.root)
    assert (ended.code, ended.out) == (1, "")
    assert "it was damaged" in ended.err


def test_damaged_dead_letters_are_named_and_the_report_goes_on(pack: Run, report: Run, store: MemoryStore) -> None:
    assert pack(store.root, *NAMING, stdin=lines(4) + b"no record\n").code == 0
    [info] = store.list("dead-letters/")
    store.put(info.key, b"not gzip", sha256="", content_type="application/gzip", replace=True)
    ended = report(store.root)
    assert ended.code == 0
    assert f"damaged: {store.url(info.key)}" in ended.out


def test_nothing_there(report: Run, store: MemoryStore) -> None:
    ended = report(store.root)
    assert (ended.code, ended.out) == (2, "")
    assert "no run below" in ended.err
    assert report().err.startswith("error: the URL is missing")
