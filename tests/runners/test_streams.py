"""A stream written on real engines: by size, by time, by the window's end; late records; every id in one listed shard."""

from __future__ import annotations

import collections
import pathlib
import time
from typing import Any

import pytest

from beam_s3box import S3Settings
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store, open_store
from tests.readback import read_back
from tests.runners.feed import LATE_SECONDS, MAX_RECORDS, WINDOW_SECONDS, Feed, begun, submit
from tests.runners.streamed import Streamed, bounds_of, streamed
from tools.flink.cluster import FlinkCluster
from tools.seaweedfs import Server

FEED_SECONDS = 40
EARLY_SECONDS = 25
SETTLED_SECONDS = 10
"""The first windows are not timed: an engine may still be starting."""

MAX_LAG_SECONDS = 10
PATIENCE_SECONDS = 180


def s3_arguments(server: Server) -> list[str]:
    return [
        f"--s3_endpoint_url={server.endpoint_url}",
        "--s3_region_name=us-east-1",
        f"--s3_access_key_id={server.writer.access_key}",
        f"--s3_secret_access_key={server.writer.secret_key}",
    ]


def fresh_store(server: Server) -> Store:
    settings = S3Settings(endpoint_url=server.endpoint_url, region="us-east-1")
    return open_store(f"s3://{server.bucket}/{new_token(12)}", settings, server.writer)


def run_feed(engine: Any, server: Server, folder: pathlib.Path, seconds: int, **changes: Any) -> Streamed:
    """Write a feed on an engine until it ends, and read it back."""
    store, notes, job = fresh_store(server), folder / "notes.jsonl", f"feed-{new_token(8)}"
    feed = Feed(seconds)
    arguments = [*engine.options(streaming=True), *s3_arguments(server), f"--job_name={job}"]
    submitted = submit(feed, store.root, arguments, notes, **changes)
    submitted.wait()
    return streamed(begun(feed, submitted), store, server.client(), notes)


@pytest.fixture(scope="module", params=["prism", "flink_local", "flink_cluster", "flink_cluster_2_62"])
def run(request: pytest.FixtureRequest, s3_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    """One run on each engine, which all tests below look at."""
    engine = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("feed")
    if not isinstance(engine, FlinkCluster):
        return run_feed(engine, s3_server, folder, FEED_SECONDS)
    return run_on_cluster(engine, s3_server, folder)


def run_on_cluster(cluster: FlinkCluster, server: Server, folder: pathlib.Path) -> Streamed:
    """Write a feed with checkpoints, which keep the job running after its end until it is drained."""
    store, notes, job = fresh_store(server), folder / "notes.jsonl", f"feed-{new_token(8)}"
    arguments = [*cluster.options(streaming=True, checkpoint_seconds=3), *s3_arguments(server), f"--job_name={job}"]
    submitted = submit(Feed(FEED_SECONDS), store.root, arguments, notes)
    feed = begun(Feed(FEED_SECONDS), submitted)
    time.sleep(max(0.0, feed.end + 2 - time.time()))
    job_id = cluster.rest.job_named(job).id
    request = cluster.rest.drain(job_id)
    cluster.rest.wait_for_state(job_id, "FINISHED")
    assert cluster.rest.drain_failure(job_id, request) is None
    submitted.wait()
    return streamed(feed, store, server.client(), notes)


def test_every_id_is_in_one_listed_shard_of_its_window(run: Streamed) -> None:
    for folder, records in run.found.records.items():
        stream, window = folder.removeprefix("feed/").split("/")
        begin, end = bounds_of(window)
        for record in records:
            assert record["n"] == stream
            assert begin <= record["t"] < end
    found = sorted(run.found.all_records(), key=lambda record: int(record["i"]))
    assert found == run.feed.records()
    assert run.found.unlisted == []


def test_the_window_of_a_shard_is_that_of_its_manifest(run: Streamed) -> None:
    assert run.firings
    for firing in run.firings:
        assert all(f"/feed/{firing.stream}/{firing.window}/" in url for url in firing.urls)


def test_limits_are_those_of_the_stream(run: Streamed) -> None:
    busy, slow, idle = (run.sealed_by(stream) for stream in ("busy", "slow", "idle"))
    assert busy["records"] >= run.feed.seconds // WINDOW_SECONDS
    assert max(note.records for note in run.notes if note.stream == "busy") <= MAX_RECORDS
    assert busy["seconds"] == 0
    assert slow["records"] == idle["records"] == 0
    assert slow["seconds"] >= 3
    # no record of this stream ever comes again, and still the timer fires
    assert idle["seconds"] >= 1


def test_what_the_window_ends_with_is_sealed_by_its_end(run: Streamed) -> None:
    in_time = run.feed.busy_in_time()
    assert len(in_time) == run.feed.seconds // WINDOW_SECONDS
    for begin, records in in_time.items():
        shards = run.shards_of("busy", begin)
        assert {note.sealed_by for note in shards} <= {"records", "window_end", "lateness"}
        # a machine that stands still holds the watermark back too: no record in time is ever late
        assert sum(note.records for note in shards if note.sealed_by != "lateness") >= records, shards
    # not of every window: the last bundle may fill a shard
    assert run.sealed_by("busy")["window_end"]


def test_late_records_have_panes_of_their_own(run: Streamed) -> None:
    panes = collections.defaultdict(list)
    for firing in run.firings:
        panes[firing.stream, firing.window].append(firing.pane)
    assert all(sorted(numbers) == list(range(len(numbers))) for numbers in panes.values()), panes
    late = [firing for firing in run.firings if firing.stream == "busy" and firing.pane > 0]
    assert len(late) >= 3
    assert all(firing.lag >= LATE_SECONDS - WINDOW_SECONDS - 1 for firing in late)


def test_manifests_on_time_do_not_wait_for_late_records(run: Streamed) -> None:
    """A late record every other second of these streams, and 20 seconds of lateness: neither holds a manifest back."""
    first, last = run.feed.start + SETTLED_SECONDS, run.feed.end - WINDOW_SECONDS
    timed = [f for f in run.firings if f.stream == "busy" and f.pane == 0 and first <= f.begin <= last]
    assert len(timed) >= 4
    assert max(firing.lag for firing in timed) <= MAX_LAG_SECONDS, timed


@pytest.mark.parametrize("name", ["prism", "flink_local"])
def test_early_firings(name: str, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path) -> None:
    run = run_feed(request.getfixturevalue(name), s3_server, tmp_path, EARLY_SECONDS, triggering_frequency=1)
    assert sorted(record["i"] for record in run.found.all_records()) == list(range(10 * EARLY_SECONDS))
    assert run.found.unlisted == []
    # no record of this stream is late: a window has one firing, at its end, or more because of early ones
    assert [firing for firing in run.firings if firing.stream == "slow" and firing.pane > 0]


@pytest.mark.parametrize("name", ["prism", "flink_local"])
def test_a_stream_that_fails_is_right_as_far_as_it_goes(
    name: str, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, engine = fresh_store(s3_server), request.getfixturevalue(name)
    feed = Feed(EARLY_SECONDS, fails_after=4 * WINDOW_SECONDS)
    arguments = [*engine.options(streaming=True), *s3_arguments(s3_server), f"--job_name=fails-{new_token(8)}"]
    submitted = submit(feed, store.root, arguments, tmp_path / "notes.jsonl")
    try:
        assert submitted.process.wait(PATIENCE_SECONDS) == 1
        assert "the feed fails" in submitted.log.read_text()
    finally:
        submitted.kill()
    found = read_back(store)
    listed = collections.Counter(record["i"] for record in found.all_records())
    assert listed, "nothing was listed before: this shows nothing"
    assert set(listed.values()) == {1}
    assert set(listed) <= set(range(10 * feed.fails_after))
