"""`python -m beam_s3box pack` on a real S3 server: piped, interrupted once and twice, and refused."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store
from tests.cli.conftest import PATIENCE
from tests.readback import read_back
from tests.s3_proxy import Fault, Rule, s3_proxy
from tools.seaweedfs import REGION, Server

NAMING = ("--domain_field=d", "--namespace_field=n")
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def store(s3_server: Server) -> S3Store:
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    return S3Store(f"s3://{s3_server.bucket}/{new_token(12)}", settings, s3_server.writer)


def line(i: int) -> bytes:
    return json.dumps({"d": f"d{i % 3}", "n": "x", "i": i}).encode() + b"\n"


def feed(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def feed_until_shards_are_there(process: subprocess.Popen[bytes], store: S3Store) -> int:
    """Give it records, and return how many; one that is still being compressed is uploaded when more come."""
    feed(process, b"".join(map(line, range(1000))))
    fed = itertools.count(1000)

    def one_more() -> bool:
        feed(process, line(next(fed)))
        return len(list(store.list("data/"))) >= 9

    wait_until(one_more)
    return next(fed)


def test_records_are_piped_to_s3(start: Start, store: S3Store) -> None:
    process = start("pack", store.root, *NAMING, "--max_records=100", "--manifest_count=2")
    out, err = process.communicate(b"".join(map(line, range(5000))) + b"no record\n", PATIENCE)
    assert (process.returncode, err.count(b"\n")) == (0, 1), err
    assert b" WARNING dead letters of run " in err
    assert b"(standard input, line 5001)" in err
    assert b"5,001 records read = 5,000 listed + 1 dead letter" in out
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(5000))
    assert (len(found.manifests), found.unlisted, len(found.dead_letters)) == (6, [], 1)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([signal.SIGINT], 130),
        ([signal.SIGTERM], 143),
        ([signal.SIGHUP], 129),
        # as `timeout` sends it, to the process and to its group, and systemd: the system may give both to any thread
        ([signal.SIGHUP, signal.SIGTERM], 129),
        ([signal.SIGTERM, signal.SIGTERM, signal.SIGHUP], 143),
    ],
    ids=lambda value: "".join(signal.name for signal in value) if isinstance(value, list) else value,
)
def test_the_first_signal_seals_what_is_packed(
    start: Start, store: S3Store, sent: list[signal.Signals], code: int
) -> None:
    process = start("pack", store.root, *NAMING, "--max_records=100")
    fed = feed_until_shards_are_there(process, store)
    feed(process, b'{"d":"d0","n":"x","i":-1,"half of a')
    for number in sent:
        process.send_signal(number)
    assert process.stderr is not None
    # a slow machine has lines of progress before
    notice = next(line for line in process.stderr if b"INFO" not in line)
    out, err = process.communicate(timeout=PATIENCE)
    # of two at once, the lower number may come first
    assert process.returncode in ({code} if len(sent) == 1 else {129, 143})
    read, listed = re.findall(rb"^([\d,]+) records read = ([\d,]+) listed \+ 0 dead letters$", out, re.MULTILINE)[0]
    assert read == listed
    count = int(read.replace(b",", b""))
    assert 1000 <= count <= fed
    name = signal.Signals(process.returncode - 128).name
    assert notice.startswith(b"interrupted by %s: sealing what is packed" % name.encode())
    assert b"at most 30 s" in notice
    assert err.startswith(b"interrupted: each of the %s records read until then is listed" % read)
    rest = b"from standard input, after line %s, was not read: pack it with another run_id\n"
    assert err.endswith(rest % read)
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(count)), "what was read, and in order"
    assert (len(found.manifests), found.unlisted) == (3, [])


def test_a_pack_that_was_interrupted_is_no_finished_work(start: Start, store: S3Store) -> None:
    arguments = ("pack", store.root, *NAMING, "--max_records=100", "--run_id=daily", "--if_finished=skip")
    process = start(*arguments)
    feed_until_shards_are_there(process, store)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    [read] = re.findall(rb"^([\d,]+) records read", out, re.MULTILINE)
    _, err = start(*arguments).communicate(line(1), PATIENCE)
    assert b"it was interrupted: the %s records that it read count, and the rest of its input" % read in err
    again = start(*arguments[:-1])
    _, err = again.communicate(line(1), PATIENCE)
    assert again.returncode == 2
    assert b"already names a run below" in err
    assert b"it was interrupted" in err
    out, _ = start("runs", store.root).communicate(timeout=PATIENCE)
    assert re.search(rb"daily +interrupted +pack", out), out
    out, _ = start("report", store.root).communicate(timeout=PATIENCE)
    assert b"finished, but it was interrupted" in out


def test_on_a_terminal_a_live_line_tells_how_far_it_is(start: Start, store: S3Store) -> None:
    ours, theirs = os.openpty()
    process = start("pack", store.root, *NAMING, stderr=theirs, env={"TERM": "xterm", "COLUMNS": "120"})
    os.close(theirs)
    feed(process, b"".join(map(line, range(10))))
    seen = b""
    while b"10 records" not in seen:
        assert select.select([ours], [], [], PATIENCE)[0]
        seen += os.read(ours, 1000)
    process.communicate(timeout=PATIENCE)
    os.close(ours)
    assert process.returncode == 0


def test_an_interrupt_before_any_record(start: Start, store: S3Store) -> None:
    with s3_proxy(store._settings.endpoint_url or "") as proxy:
        process = start("pack", store.root, *NAMING, env={"AWS_ENDPOINT_URL": proxy.endpoint_url})
        wait_until(lambda: bool(proxy.requests))
        time.sleep(0.5)  # the checks are done; if they were not, no shard would be written either
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    found = read_back(store)
    assert (found.manifests, found.unlisted) == ({}, [])


def hanging(goes_on: threading.Event) -> Rule:
    """Return a rule by which the store says nothing until then."""

    def hang(request: object) -> Fault:
        goes_on.wait(PATIENCE)
        return Fault(503, "SlowDown")

    return hang


def test_an_interrupted_command_that_lists_nothing_speaks_of_no_manifests(start: Start, store: S3Store) -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def hang(request: object) -> Fault:
        asked.set()
        goes_on.wait(PATIENCE)
        return Fault(503, "SlowDown")

    with s3_proxy(store._settings.endpoint_url or "") as proxy:
        proxy.rule = hang
        process = start("runs", store.root, env={"AWS_ENDPOINT_URL": proxy.endpoint_url})
        assert asked.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        goes_on.set()
    assert (process.returncode, out, err) == (130, b"", b"interrupted by SIGINT\n")


def test_the_second_interrupt_stops_at_once(start: Start, store: S3Store) -> None:
    with s3_proxy(store._settings.endpoint_url or "") as proxy:
        process = start("pack", store.root, *NAMING, "--max_records=100", env={"AWS_ENDPOINT_URL": proxy.endpoint_url})
        feed_until_shards_are_there(process, store)

        goes_on = threading.Event()
        proxy.rule = hanging(goes_on)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert b"sealing what is packed" in process.stderr.readline()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - begun
        goes_on.set()
    assert (process.returncode, out) == (130, b"")
    assert err == b"interrupted by SIGINT: what is not listed in a manifest does not count\n"
    assert seconds < PATIENCE / 3
    assert read_back(store).manifests == {}


def test_a_store_that_hangs_takes_no_longer_than_the_grace_time(start: Start, store: S3Store) -> None:
    with s3_proxy(store._settings.endpoint_url or "") as proxy:
        endpoint = {"AWS_ENDPOINT_URL": proxy.endpoint_url}
        process = start("pack", store.root, *NAMING, "--max_records=100", "--grace_seconds=0.5", env=endpoint)
        feed_until_shards_are_there(process, store)

        goes_on = threading.Event()
        proxy.rule = hanging(goes_on)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - begun
        goes_on.set()
    assert (process.returncode, out) == (143, b"")
    assert b"interrupted by SIGTERM: it did not finish within --grace_seconds=0.5; what is not listed" in err
    assert seconds < PATIENCE / 3
    assert read_back(store).manifests == {}


def test_a_hang_up_that_is_ignored_stays_so(start: Start, store: S3Store) -> None:
    process = start("pack", store.root, *NAMING, ignored=[signal.SIGHUP])  # as `nohup` starts it
    feed(process, b"".join(map(line, range(10))))
    time.sleep(0.5)  # it may hang up at any time
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(b"".join(map(line, range(10, 20))), PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert len(read_back(store).all_records()) == 20


def test_where_reading_stopped_is_named(start: Start, store: S3Store, tmp_path: pathlib.Path) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(map(line, range(10))))
    os.mkfifo(tmp_path / "b.jsonl")
    process = start("pack", store.root, *NAMING, *(f"--input={tmp_path}/{name}.jsonl" for name in "abc"))
    with (tmp_path / "b.jsonl").open("wb") as pipe:
        pipe.write(b"".join(map(line, range(10, 13))))
        pipe.flush()
        time.sleep(0.5)  # it may come at any time; what was read until then is listed
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    found = sorted(record["i"] for record in read_back(store).all_records())
    assert found in (list(range(10)), list(range(13)))
    place = "before its first record" if len(found) == 10 else "after line 3"
    assert f"from {tmp_path}/b.jsonl, file 2 of 3, {place}, was not read".encode() in err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("s3://no-such-bucket/x", *NAMING), b"no such bucket"),
        (("s3://box/x", *NAMING, "--s3_access_key_id=writer-access-key", "--s3_secret_access_key=wrong-secret"), b"SignatureDoesNotMatch"),
        (("s3://box/x", *NAMING, "--domain_feld=d"), b"error: --domain_feld is not an option: did you mean --domain_field?"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_told_in_one_line(start: Start, arguments: tuple[str, ...], part: bytes) -> None:
    process = start("pack", *arguments)
    out, err = process.communicate(b"".join(map(line, range(10))), PATIENCE)
    assert (process.returncode, out) == (2, b"")
    assert part in err
    assert b"wrong-secret" not in err
    assert err.count(b"\n") == 1
