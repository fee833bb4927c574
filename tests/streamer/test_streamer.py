"""The interface of one streamer: streams, limits, formats, and errors with a fix."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import os
import pathlib
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.streamer import (
    BufferFile,
    DiskQuotaError,
    JsonBufferStreamer,
    PendingFile,
    StreamerClosedError,
    StreamerError,
    StreamNotOpenError,
    UploadsFailedError,
)

Make = Callable[..., JsonBufferStreamer]


def test_open_append_close_uploads_one_json_array(make: Make, kept: Any, folder: pathlib.Path) -> None:
    streamer = make()
    streamer.open("web", "clicks")
    streamer.append("web", "clicks", {"page": "/é"})
    streamer.append("web", "clicks", '{"page":\n2}')
    streamer.append("web", "clicks", b'{"page":3}')
    streamer.close("web", "clicks")
    (body,) = kept.bodies
    assert json.loads(body) == [{"page": "/é"}, {"page": 2}, {"page": 3}]
    (file,) = kept.files
    assert (file.domain, file.namespace, file.records, file.size) == ("web", "clicks", 3, len(body))
    assert file.raw_bytes == len(body)
    assert file.file_name == file.path.name
    assert not file.path.exists()
    assert os.listdir(folder) == ["lock"]


def test_two_streams_have_files_of_their_own(make: Make, kept: Any) -> None:
    streamer = make()
    for namespace in ("a", "b"):
        streamer.open("web", namespace)
        streamer.append("web", namespace, {"n": namespace})
    streamer.flush()
    assert {(file.namespace, body) for file, body in zip(kept.files, kept.bodies, strict=True)} == {
        ("a", b'[\n{"n":"a"}\n]\n'),
        ("b", b'[\n{"n":"b"}\n]\n'),
    }


def test_the_size_limit_counts_bytes_and_no_file_exceeds_it(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks", size_limit=200, time_limit=0)
    for i in range(50):
        streamer.append("web", "clicks", {"i": i, "text": "ééééé"})
    streamer.flush()
    assert max(map(len, kept.bodies)) <= 200
    assert min(map(len, sorted(kept.bodies, key=len)[1:])) > 200 - len('{"i":10,"text":"ééééé"},\n'.encode()), (
        "well filled"
    )
    assert sorted(record["i"] for record in kept.records()) == list(range(50))


def test_only_a_record_that_is_larger_by_itself_exceeds_the_limit(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks", size_limit=100)
    streamer.append("web", "clicks", {"i": 0})
    streamer.append("web", "clicks", {"i": 1, "text": "x" * 500})
    streamer.append("web", "clicks", {"i": 2})
    streamer.flush()
    assert sorted((len(body) > 100, [r["i"] for r in json.loads(body)]) for body in kept.bodies) == [
        (False, [0]),
        (False, [2]),
        (True, [1]),
    ]


def test_a_full_file_is_uploaded_without_a_flush(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks", size_limit=10)
    streamer.append("web", "clicks", {"i": "longer than that"})
    assert kept.begun.acquire(timeout=60)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("format", ["json-array", "json-lines"])
def test_formats_and_compressions(make: Make, kept: Any, format: str, compression: str) -> None:
    streamer = make(format=format, compression=compression)
    streamer.open("web", "clicks", size_limit=10_000_000)
    records = [{"i": i, "pad": "x" * 1000} for i in range(2_500)]  # more than two segments
    for record in records:
        streamer.append("web", "clicks", record)
    streamer.flush()
    (file,), (body,) = kept.files, kept.bodies
    text = gzip.decompress(body) if compression == "gzip" else body
    assert file.raw_bytes == len(text)
    assert file.records == len(records)
    assert file.file_name.endswith(".json.gz" if compression == "gzip" else ".json")
    assert file.content_type == ("application/gzip" if compression == "gzip" else "application/json")
    assert records == (json.loads(text) if format == "json-array" else [json.loads(line) for line in text.splitlines()])


def test_the_time_limit_counts_from_the_first_record(make: Make, kept: Any, clock: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks", time_limit=60)
    clock.now += 1000  # an idle stream does not age
    streamer.append("web", "clicks", {"i": 0})
    clock.now += 59
    streamer.append("web", "clicks", {"i": 1})
    streamer.run_scheduled()
    assert streamer.stats.pending == ()
    assert kept.tried == []
    clock.now += 1
    streamer.run_scheduled()
    assert kept.begun.acquire(timeout=60)
    streamer.append("web", "clicks", {"i": 2})
    clock.now += 59
    streamer.run_scheduled()
    assert len(kept.tried) == 1, "the next file has its own first record"
    streamer.flush()
    assert [[record["i"] for record in json.loads(body)] for body in kept.bodies] == [[0, 1], [2]]


@pytest.mark.parametrize("time_limit", [0, None])
def test_no_time_limit(make: Make, kept: Any, clock: Any, time_limit: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks", time_limit=time_limit)
    streamer.append("web", "clicks", {"i": 0})
    clock.now += 1e9
    streamer.run_scheduled()
    assert kept.tried == []


def test_the_scheduler_looks_by_itself(make: Make, kept: Any, clock: Any) -> None:
    streamer = make(scheduler_interval=0.01)
    streamer.open("web", "clicks", time_limit=60)
    streamer.append("web", "clicks", {"i": 0})
    clock.now += 60
    assert kept.begun.acquire(timeout=60)


def test_opening_an_open_stream(make: Make) -> None:
    streamer = make()
    streamer.open("web", "clicks", size_limit=1000)
    streamer.open("web", "clicks", size_limit=1000)
    with pytest.raises(ConfigurationError, match=r"is open with size_limit=1000, time_limit=60\.0; close it"):
        streamer.open("web", "clicks", size_limit=2000)
    streamer.close("web", "clicks")
    streamer.open("web", "clicks", size_limit=2000)
    assert streamer.stats.open_streams == 1


def test_streams_that_take_no_records(make: Make) -> None:
    streamer = make()
    with pytest.raises(StreamNotOpenError, match=r"web/clicks is not open: call open\('web', 'clicks'\)"):
        streamer.append("web", "clicks", {})
    streamer.open("web", "clicks")
    streamer.close("web", "clicks")
    with pytest.raises(StreamNotOpenError, match="not open"):
        streamer.append("web", "clicks", {})
    with pytest.raises(StreamNotOpenError, match="not open"):
        streamer.close("web", "clicks")
    streamer.shut_down()
    for call in (
        lambda: streamer.append("web", "clicks", {}),
        lambda: streamer.open("web", "clicks"),
        lambda: streamer.close("web", "clicks"),
        streamer.flush,
    ):
        with pytest.raises(StreamerClosedError, match="is shut down"):
            call()
    assert streamer.shut_down() == ()


UNSET = dataclasses.make_dataclass("Unset", [("page", str, dataclasses.field(init=False))])


@pytest.mark.parametrize("bad", [[1], 7, None, '"text"', "[{}]", '{"a":1', b"\xff", {"a": object()}, UNSET()])
def test_a_bad_record_is_refused_and_changes_nothing(make: Make, kept: Any, bad: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks")
    streamer.append("web", "clicks", {"i": 0})
    with pytest.raises(RecordError, match="record for web/clicks was not taken") as caught:
        streamer.append("web", "clicks", bad)
    assert caught.value.reason
    streamer.append("web", "clicks", {"i": 1})
    streamer.flush()
    assert kept.records() == [{"i": 0}, {"i": 1}]
    assert streamer.stats.records == 2


def test_a_dataclass_is_a_record(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "clicks")
    streamer.append("web", "clicks", dataclasses.make_dataclass("Click", ["page"])("/"))
    streamer.flush()
    assert kept.records() == [{"page": "/"}]


@pytest.mark.parametrize(
    "arguments",
    [
        {"format": "parquet"},
        {"compression": "zip"},
        {"durability": "disk"},
        {"scheduler_interval": -1},
        {"scheduler_interval": float("nan")},
        {"max_disk_bytes": 0},
        {"upload_threads": 0},
        {"on_upload": "print"},
    ],
    ids=str,
)
def test_arguments_that_can_not_work(make: Make, folder: pathlib.Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        make(**arguments)
    assert not folder.exists()


@pytest.mark.parametrize("format", ["avro", "parquet"])
def test_a_format_that_is_not_json_says_which_are(make: Make, format: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^format='{format}' can't be streamed: take 'json-array' or 'json-"):
        make(format=format)


@pytest.mark.parametrize(
    ("names", "limits", "message"),
    [
        (("", "x"), {}, "domain=''"),
        (("x", "\ud800"), {}, "namespace="),
        (("x", "y"), {"size_limit": 0}, "size_limit=0 must be"),
        (("x", "y"), {"size_limit": 1.5}, "size_limit=1.5 must be"),
        (("x", "y"), {"time_limit": -1}, "time_limit=-1 must be"),
        (("x", "y"), {"time_limit": "60"}, "time_limit='60' must be"),
    ],
)
def test_streams_that_can_not_be(make: Make, names: Any, limits: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make().open(*names, **limits)


async def asynchronous(message: BufferFile) -> None:
    """Do nothing."""


@pytest.mark.parametrize(("uploader", "message"), [(3, "must have a method upload"), (asynchronous, "is asynchronous")])
def test_uploaders_that_can_not_be(folder: pathlib.Path, uploader: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        JsonBufferStreamer(uploader, folder)


def test_a_folder_that_can_not_be(tmp_path: pathlib.Path, kept: Any) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"files_path=.*can't be used: Not a directory"):
        JsonBufferStreamer(kept, tmp_path / "file" / "x")


def test_many_threads_on_few_streams_lose_nothing(make: Make, kept: Any) -> None:
    streamer = make()
    for namespace in "ab":
        streamer.open("web", namespace, size_limit=2_000)

    def work(number: int) -> None:
        for i in range(500):
            streamer.append("web", "ab"[i % 2], {"i": number * 500 + i})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    streamer.flush()
    assert sorted(record["i"] for record in kept.records()) == list(range(4_000))
    assert max(map(len, kept.bodies)) <= 2_000


def test_stats_count_what_happened(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "a")
    streamer.open("web", "b")
    streamer.append("web", "a", {"i": 0})
    assert streamer.stats.disk_bytes > 0
    streamer.flush()
    streamer.append("web", "b", {"i": 1})
    streamer.close("web", "b")
    stats = streamer.stats
    assert (stats.open_streams, stats.records, stats.uploaded_files, stats.uploaded_records) == (1, 2, 2, 2)
    assert stats.uploaded_bytes == sum(map(len, kept.bodies))
    assert (stats.failed_attempts, stats.pending, stats.disk_bytes) == (0, (), 0)


def test_with_shuts_down(make: Make, kept: Any) -> None:
    with make() as streamer:
        streamer.open("web", "a")
        streamer.append("web", "a", {"i": 0})
    assert kept.records() == [{"i": 0}]
    with pytest.raises(StreamerClosedError):
        streamer.open("web", "a")


def test_asyncio_users_append_on_a_thread(make: Make, kept: Any) -> None:
    async def serve(streamer: JsonBufferStreamer) -> None:
        streamer.open("web", "clicks")
        await asyncio.gather(*(asyncio.to_thread(streamer.append, "web", "clicks", {"i": i}) for i in range(20)))
        await asyncio.to_thread(streamer.close, "web", "clicks")
        assert await asyncio.to_thread(streamer.shut_down) == ()

    asyncio.run(serve(make()))
    assert sorted(record["i"] for record in kept.records()) == list(range(20))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_has_no_streamer(make: Make, folder: pathlib.Path, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "a")
    child = os.fork()
    if not child:
        status = 1
        try:
            streamer.append("web", "a", {"i": 0})
        except StreamerClosedError as exc:
            status = 0 if "forked" in str(exc) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    streamer.append("web", "a", {"i": 1})
    streamer.flush()
    assert kept.records() == [{"i": 1}]


def test_the_quota_refuses_records_and_takes_them_again(make: Make, kept: Any) -> None:
    streamer = make(max_disk_bytes=2_000)
    streamer.open("web", "a", size_limit=500)
    kept.error = OSError("no network")
    taken = 0

    def fill() -> None:
        nonlocal taken
        while True:
            streamer.append("web", "a", {"i": taken})
            taken += 1

    with pytest.raises(DiskQuotaError, match="max_disk_bytes=2000 is reached"):
        fill()
    assert taken > 50
    pause = threading.Event()
    while any(not file.attempts or not file.error for file in streamer.stats.pending):
        pause.wait(0.001)
    kept.error = None
    streamer.flush()
    streamer.append("web", "a", {"i": taken})
    streamer.flush()
    assert sorted(record["i"] for record in kept.records()) == list(range(taken + 1))
    assert streamer.stats.disk_bytes == 0


@pytest.mark.parametrize("error", [StreamerError("m"), UploadsFailedError("m", [PendingFile("f", "d", "n", 1, "e")])])
def test_errors_pickle(error: StreamerError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_names_with_dots_do_not_meet(make: Make, kept: Any) -> None:
    streamer = make()
    for i, (domain, namespace) in enumerate([("a.b", "c"), ("a", "b.c")]):
        streamer.open(domain, namespace)
        streamer.append(domain, namespace, {"i": i})
    streamer.flush()
    assert sorted((file.domain, file.namespace) for file in kept.files) == [("a", "b.c"), ("a.b", "c")]
