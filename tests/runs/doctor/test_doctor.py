"""The doctor sees each guarantee that a store breaks, and leaves nothing behind."""

from __future__ import annotations

import itertools
import json
import pathlib
import signal
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from beam_s3box.cli.main import main
from beam_s3box.errors import ObjectNotFoundError, StoreError
from beam_s3box.runs.doctor import conditions, examination, folder, visibility
from beam_s3box.runs.doctor.examination import Diagnosis, examine
from beam_s3box.runs.doctor.findings import Finding, Verdict
from beam_s3box.runs.doctor.guarantees import CHECKSUMS, CONDITIONAL_WRITES, GUARANTEES
from beam_s3box.shards.keys import DOCTOR_FOLDER
from beam_s3box.stores import Credentials, LocalStore, MemoryStore, S3Settings, S3Store, Store
from tests.runs.doctor import broken_stores
from tests.runs.doctor.broken_stores import BrokenServer, changes, denies, never_aborts
from tests.s3_proxy import Proxy, Rule, s3_proxy
from tests.sweeps import Late, raises_at
from tools.seaweedfs import REGION, Identity, Server


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "ROUNDS", 2)
    monkeypatch.setattr(conditions, "RACERS", 4)
    monkeypatch.setattr(visibility, "ROUNDS", 1)


def store_at(server: Server, endpoint_url: str, **more: object) -> S3Store:
    settings = S3Settings(region=REGION, endpoint_url=endpoint_url, retry_seconds=0.2, **more)  # type: ignore[arg-type]
    return S3Store(f"s3://{server.bucket}/{uuid.uuid4().hex[:8]}", settings, server.writer)


def verdicts(diagnosis: Diagnosis, verdict: Verdict = Verdict.FAILS) -> list[str]:
    return [finding.name for finding in diagnosis.findings if finding.verdict is verdict]


def nothing_is_left(server: Server) -> bool:
    client = server.client()
    listed = client.list_objects_v2(Bucket=server.bucket).get("Contents", ())
    uploads = client.list_multipart_uploads(Bucket=server.bucket).get("Uploads", ())
    left = [one["Key"] for one in (*listed, *uploads) if DOCTOR_FOLDER in one["Key"]]
    assert left == []
    return True


RACING_PARTS = "create only, in parts, racing"


def test_a_real_server_keeps_its_word(s3_server: Server) -> None:
    diagnosis = examine(store_at(s3_server, s3_server.endpoint_url))
    # this one lets two uploads in parts of one key pass, if they are completed at the same time; we have none
    assert set(verdicts(diagnosis)) <= {RACING_PARTS}, diagnosis.findings
    details = [finding.detail for finding in diagnosis.findings if finding.name in verdicts(diagnosis)]
    assert all(detail.endswith("; no guarantee of ours depends on it") for detail in details)
    assert diagnosis.is_well
    assert diagnosis.settings == ()
    assert len(diagnosis.findings) == 22
    assert nothing_is_left(s3_server)


def test_the_settings_of_the_user_do_not_hide_what_it_can(s3_server: Server) -> None:
    diagnosis = examine(store_at(s3_server, s3_server.endpoint_url, conditional_writes=False, checksums=False))
    assert diagnosis.is_well
    assert len(diagnosis.findings) == 22


@pytest.mark.parametrize("kind", [LocalStore, MemoryStore])
def test_other_stores_keep_theirs(tmp_path: pathlib.Path, kind: Callable[[str], Store]) -> None:
    place = tmp_path / "new" / "folder"
    diagnosis = examine(kind(str(place)))
    assert diagnosis.is_well, diagnosis
    assert len(diagnosis.findings) == 14
    assert not place.parent.exists()


def test_every_probe_belongs_to_a_guarantee(s3_server: Server) -> None:
    names = [finding.name for finding in examine(store_at(s3_server, s3_server.endpoint_url)).findings]
    needed = set(itertools.chain.from_iterable(guarantee.needs for guarantee in GUARANTEES))
    assert set(names) - needed == {RACING_PARTS, "replace by ETag, in parts"}
    assert needed <= set(names)


@pytest.fixture
def proxy(s3_server: Server) -> Iterator[Proxy]:
    with s3_proxy(s3_server.endpoint_url) as running:
        yield running


def broken(proxy: Proxy, server: Server, rule: Rule) -> Diagnosis:
    proxy.rule = rule
    return examine(store_at(server, proxy.endpoint_url))


ONE_ID = "a run id names one run"
BOUNDED = "each record of a bounded run is listed once, however often work is done again"
STREAM = "each record of a stream is listed once, also after the runner went back"


@pytest.mark.parametrize(
    ("breaks", "fails", "settings", "guarantee"),
    [
        (
            lambda server: server.ignores("PutObject"),
            ["create only", "create only, racing", "replace by ETag", "replace by ETag, racing"],
            (CONDITIONAL_WRITES,),
            ONE_ID,
        ),
        (
            lambda server: server.looks_first("PutObject"),
            ["create only, racing", "replace by ETag, racing"],
            (),
            BOUNDED,
        ),
        (
            lambda server: server.ignores("DeleteObject"),
            ["delete by ETag"],
            (CONDITIONAL_WRITES,),
            "gc and compact remove nothing that has changed",
        ),
        (
            lambda server: server.ignores("CompleteMultipartUpload"),
            ["create only, in parts", RACING_PARTS, "replace by ETag, in parts"],
            (CONDITIONAL_WRITES,),
            "a large shard appears as a whole or not at all",
        ),
        (
            lambda server: server.refuses_conditions(),
            [
                "create only",
                "create only, racing",
                "replace by ETag",
                "replace by ETag, racing",
                "delete by ETag",
                "create only, in parts",
                RACING_PARTS,
                "replace by ETag, in parts",
            ],
            (CONDITIONAL_WRITES,),
            ONE_ID,
        ),
        (lambda server: server.takes_any_bytes("PutObject"), ["checksums"], (), "shards arrive as they were sent"),
        (
            lambda server: server.takes_any_bytes("UploadPart"),
            ["checksums of parts"],
            (),
            "shards arrive as they were sent",
        ),
        (lambda server: server.refuses_checksums(), ["checksums"], (CHECKSUMS,), "shards arrive as they were sent"),
        (
            lambda server: server.shows_parts(),
            ["parts", "create only, in parts", "replace by ETag, in parts"],
            (CONDITIONAL_WRITES,),
            "a large shard appears as a whole or not at all",
        ),
        (lambda server: changes(broken_stores.only_listed_later), ["list after write"], (), STREAM),
        (lambda server: changes(broken_stores.other_names), ["names"], (), "a run can write"),
        (lambda server: changes(broken_stores.no_metadata), ["metadata"], (), "shards arrive as they were sent"),
        (lambda server: changes(broken_stores.other_times(-7_200, "date")), ["clock"], (), STREAM),
        (lambda server: changes(broken_stores.other_times(7_200, "date", "last-modified")), ["clock"], (), STREAM),
    ],
)
def test_each_broken_guarantee_is_seen(
    s3_server: Server,
    proxy: Proxy,
    breaks: Callable[[BrokenServer], Rule],
    fails: list[str],
    settings: tuple[str, ...],
    guarantee: str,
) -> None:
    diagnosis = broken(proxy, s3_server, breaks(BrokenServer(s3_server)))
    shown = "\n".join(map(str, diagnosis.findings))
    assert set(fails) <= set(verdicts(diagnosis)), shown
    if fails != ["list after write"]:  # a listing that is wrong shows in other probes, too
        assert set(verdicts(diagnosis)) <= {*fails, RACING_PARTS}, shown
    assert diagnosis.settings == settings
    assert guarantee in [one.name for one, failures in diagnosis.guarantees.items() if failures]
    assert not diagnosis.is_well
    assert nothing_is_left(s3_server)


def test_reads_of_earlier_versions_are_seen(s3_server: Server, proxy: Proxy) -> None:
    diagnosis = broken(proxy, s3_server, BrokenServer(s3_server).reads_late())
    assert "read after write" in verdicts(diagnosis)
    assert ONE_ID in [one.name for one, failures in diagnosis.guarantees.items() if failures]


def test_etags_that_are_none_are_seen(s3_server: Server, proxy: Proxy) -> None:
    assert "ETags" in verdicts(broken(proxy, s3_server, changes(broken_stores.one_etag)))


def test_uploads_that_are_not_aborted_are_seen(s3_server: Server, proxy: Proxy) -> None:
    aborted: list[str] = []
    diagnosis = broken(proxy, s3_server, never_aborts(aborted))
    assert "parts aborted" in verdicts(diagnosis)
    assert "nothing of a failed upload stays and is billed" in [
        one.name for one, failures in diagnosis.guarantees.items() if failures
    ]
    assert abort_uploads(s3_server) > 0


# ---------------------------------------------------------------- rights


@pytest.mark.parametrize(
    ("operations", "fails", "unknown"),
    [
        (["ListObjects"], ["list"], ["list after write", "ETags", "names", "delete by ETag"]),
        (
            ["AbortMultipartUpload"],
            [],
            ["parts aborted", "parts", "checksums of parts", "create only, in parts", "replace by ETag, in parts"],
        ),
        (["GetObject", "HeadObject"], ["read"], 18),
        (["PutObject"], ["write"], 19),
    ],
)
def test_rights_that_are_missing(
    s3_server: Server, proxy: Proxy, operations: list[str], fails: list[str], unknown: list[str] | int
) -> None:
    diagnosis = broken(proxy, s3_server, denies(*operations))
    assert set(fails) <= set(verdicts(diagnosis))
    found = set(verdicts(diagnosis, Verdict.UNKNOWN))
    assert len(found) == unknown if isinstance(unknown, int) else found >= set(unknown)
    assert not diagnosis.is_well
    assert abort_uploads(s3_server) == operations.count("AbortMultipartUpload")


def abort_uploads(server: Server) -> int:
    """Abort what a server that refused it has kept, and return how many uploads these were."""
    client = server.client()
    uploads = client.list_multipart_uploads(Bucket=server.bucket).get("Uploads", ())
    for one in uploads:
        client.abort_multipart_upload(Bucket=server.bucket, Key=one["Key"], UploadId=one["UploadId"])
    return len(uploads)


def test_without_the_right_to_delete_one_object_is_left_and_named(s3_server: Server, proxy: Proxy) -> None:
    diagnosis = broken(proxy, s3_server, denies("DeleteObject"))
    assert verdicts(diagnosis) == ["delete"]
    assert len(diagnosis.left) == 2, diagnosis.left
    assert all(f"/{DOCTOR_FOLDER}" in url for url in diagnosis.left)
    client = s3_server.client()
    for url in diagnosis.left:
        client.delete_object(Bucket=s3_server.bucket, Key=url.split("/", 3)[3])


def test_who_may_only_read_has_left_nothing(s3_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(doctor(s3_server, keys=s3_server.reader)) == 1
    out = capsys.readouterr().out
    assert "FAILS  write: not allowed: " in out
    assert "?      read: not tried, because objects can't be written here\n" in out
    assert out.endswith("\nno option changes that\n")


def test_a_bucket_that_does_not_exist_is_not_created(s3_server: Server) -> None:
    settings = S3Settings(region=REGION, endpoint_url=s3_server.endpoint_url, retry_seconds=0.2)
    bucket = f"typo-{uuid.uuid4().hex[:8]}"
    with pytest.raises(ObjectNotFoundError, match=bucket):
        examine(S3Store(f"s3://{bucket}/x", settings, s3_server.admin))
    assert bucket not in [one["Name"] for one in s3_server.client().list_buckets()["Buckets"]]


def test_nothing_can_be_reached() -> None:
    settings = S3Settings(region=REGION, endpoint_url="http://127.0.0.1:9", retry_seconds=0.1)
    with pytest.raises(StoreError, match="nothing answers there"):
        examine(S3Store("s3://bucket/prefix", settings, lambda: Credentials("key", "secret")))


# ---------------------------------------------------------------- nothing is left


def test_who_is_interrupted_leaves_nothing() -> None:
    """At whatever line, but while it removes what it wrote."""
    points = 0
    for point in range(1, 4_000, 37):
        store = MemoryStore(uuid.uuid4().hex)
        notes: list[str] = []
        try:
            done = not raises_at(point, lambda store=store: examine(store))  # type: ignore[misc]
        except Late as exc:
            done, notes = False, getattr(exc, "__notes__", [])
        left = [info.key for info in store.list()]
        assert not left or any("what is left is below" in note for note in notes), point
        points += 1
        if done:
            break
    assert points > 20


def test_an_interrupted_command_removes_its_objects(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(name: str, folder: object, store: Store) -> Finding:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(10)
        raise AssertionError

    monkeypatch.setitem(examination._PROBES, "clock", interrupt)
    assert main(doctor(s3_server)) == 128 + signal.SIGTERM
    assert "interrupted by SIGTERM" in capsys.readouterr().err
    assert nothing_is_left(s3_server)


def test_what_one_that_was_killed_has_left_goes_with_the_next(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_at(s3_server, s3_server.endpoint_url)
    other = folder.Folder(store)
    folder.put(store, other.key(), b"left")
    assert examine(store).left_by_others == ()
    assert [info.key for info in store.list()] != []
    monkeypatch.setattr(folder, "_OLD_SECONDS", -60.0)
    diagnosis = examine(store)
    assert diagnosis.left_by_others == (store.url(f"{other.prefix}000-object"),)
    assert diagnosis.is_well
    assert list(store.list()) == []


# ---------------------------------------------------------------- the command


def doctor(server: Server, *more: str, endpoint_url: str | None = None, keys: Identity | None = None) -> list[str]:
    identity = keys or server.writer
    return [
        "doctor",
        f"s3://{server.bucket}/command",
        f"--s3_endpoint_url={endpoint_url or server.endpoint_url}",
        f"--s3_region_name={REGION}",
        f"--s3_access_key_id={identity.access_key}",
        f"--s3_secret_access_key={identity.secret_key}",
        *more,
    ]


def test_the_command(s3_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(doctor(s3_server)) == 0
    out = capsys.readouterr().out
    assert "ok     create only: a second write is refused\n" in out
    assert "  yes  a run id names one run\n" in out
    assert out.endswith("no option is needed\n")
    assert main(doctor(s3_server, "--quiet")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(f"FAILS  {RACING_PARTS}")] == []


def test_the_command_at_a_broken_server(s3_server: Server, proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.rule = BrokenServer(s3_server).ignores("PutObject")
    assert main(doctor(s3_server, endpoint_url=proxy.endpoint_url)) == 1
    out = capsys.readouterr().out
    assert "FAILS  create only: a second write that must not replace the first was accepted\n" in out
    assert "  no   a run id names one run: see create only, create only, racing, replace by ETag" in out
    assert "give --s3_conditional_writes=false: this server does not keep what it is asked for\n" in out


def test_as_json(s3_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(doctor(s3_server, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["probes"][0]["name"] == "write"
    assert {probe["verdict"] for probe in found["probes"] if probe["name"] != RACING_PARTS} == {"holds"}
    assert all(guarantee["holds"] for guarantee in found["guarantees"])
    assert (found["settings"], found["left"], found["left_by_others"]) == ([], [], [])


def test_no_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 2
    assert "the URL is missing" in capsys.readouterr().err
