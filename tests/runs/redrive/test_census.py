"""Dead letters that stand in the store twice, or not at all: found out by the numbers of the record, and by their place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from beam_s3box.engine.dead_letters import DeadLetterBatch, DeadLetterFiles
from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.runs.redrive.fix import Fix
from beam_s3box.shards.runs import new_origin, new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.system.threads import Threads
from tests.runs.redrive.runs_with_letters import (
    BAD,
    GOOD,
    NO_KIND,
    PARENT,
    check_each_once,
    children,
    mend,
    pack,
    redrive,
    spec_for,
)

THREADS = Threads(2, "test")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token())


def write_again(run: Run, *, origin: str = "") -> str:
    """Write the run's file of dead letters under another origin, as a bundle does that is done again."""
    [info] = list(run.dead_letter_files())[:1]
    folder, _, name = info.key.rpartition("/")
    key = f"{folder}/{origin or new_origin()}-{name.partition('-')[2]}"
    body = run.store.get(info.key)
    run.store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip")
    return key


def write_letters(run: Run, lines: Sequence[bytes], source: str, numbers: Sequence[int | None]) -> None:
    """Write dead letters as a bundle of a pipeline does."""
    files = DeadLetterFiles(run.store, run.layout, THREADS, THREADS)
    rejected = [RejectedRecord(None, "missing-stream", "no field", line) for line in lines]
    files.add(DeadLetterBatch(rejected, spec_for().selector, LineBatch(list(lines), source, numbers)))
    files.finish()


@pytest.mark.parametrize("source", ["in.jsonl", ""])
def test_a_bundle_that_was_done_again(store: MemoryStore, source: str) -> None:
    run = pack(store, [*GOOD, *BAD], source)
    for origin in ("0" * 12, "f" * 12):
        write_again(run, origin=origin)
    [one] = redrive(run, fix=Fix(mend)).do()
    assert one.packed is not None
    assert one.packed.records_in == len(BAD)
    check_each_once(store)


def test_a_part_of_a_bundle_that_was_done_again_is_known_by_its_lines(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    write_letters(run, NO_KIND[:3], "in.jsonl", [11, 12, 13])
    redrive(run, fix=Fix(mend)).do()
    check_each_once(store)


def test_repeats_that_nobody_knows_stop_it(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD], "")
    write_letters(run, NO_KIND[:3], "", [None] * 3)
    with pytest.raises(S3BoxError) as caught:
        redrive(run, fix=Fix(mend)).do()
    assert "run parent counted 7 dead letters missing-stream, and memory://" in str(caught.value)
    assert "holds 10: the runner did work again" in str(caught.value)
    assert "mismatch='ignore' writes those that are there" in str(caught.value)
    assert children(store) == []
    redrive(run, fix=Fix(mend), reasons=("not-json",)).do()
    [_, one] = redrive(run, fix=Fix(mend), mismatch="ignore").do()
    assert one.packed is not None
    assert one.packed.records_in == 13


def test_equal_records_of_no_known_place_are_records_each(store: MemoryStore) -> None:
    """Their numbers agree with the record's, so nothing was repeated."""
    lines = [NO_KIND[0]] * 4
    run = pack(store, [*GOOD, *lines], "")
    redrive(run, fix=Fix(mend)).do()
    check_each_once(store, lines, lines)


def test_files_that_were_removed_stop_it(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    write_letters(run, [b"{}"], "in.jsonl", [99])
    [key] = [info.key for info in run.dead_letter_files() if info.size > 300]
    store.delete(key)
    with pytest.raises(S3BoxError, match=r"counted 7 dead letters missing-stream, and .* holds 1: files were removed"):
        redrive(run).do()


def test_files_that_were_all_removed_are_not_no_dead_letters(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    [info] = run.dead_letter_files()
    store.delete(info.key)
    with pytest.raises(S3BoxError, match=r"counted 7 dead letters missing-stream, and .* holds 0: files were removed"):
        redrive(run).do()


@pytest.mark.parametrize(
    "damage", [lambda body: body[:-9], lambda body: b"no gzip", lambda body: body[:40] + body[41:]]
)
def test_a_damaged_file_is_named_and_nothing_is_written(store: MemoryStore, damage: object) -> None:
    run = pack(store, [*GOOD, *BAD])
    [info] = run.dead_letter_files()
    body = damage(store.get(info.key))  # type: ignore[operator]
    store.put(info.key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip", replace=True)
    with pytest.raises(S3BoxError, match=r"\.json\.gz is damaged behind line \d+"):
        redrive(run).do()
    assert not any("redrives" in key.key for key in store.list())


def unbounded(store: MemoryStore) -> Run:
    """A stream that runs."""
    plan = spec_for(run_id=PARENT).plan(store, bounded=False)
    plan.claim.take(store)
    return find_run(store, PARENT)


def test_dead_letters_of_a_stream_that_runs_on(store: MemoryStore) -> None:
    """Each call takes what has come since; what stands there again after the runner went back is not taken again."""
    run = unbounded(store)
    write_letters(run, NO_KIND[:3], "a.jsonl", [1, 2, 3])
    [one] = redrive(run, fix=Fix(mend)).do()
    assert one.packed is not None
    write_letters(run, NO_KIND[1:5], "a.jsonl", [2, 3, 4, 5])
    _, two = redrive(run, fix=Fix(mend)).do()
    assert two.packed is not None
    write_letters(run, NO_KIND[5:], "a.jsonl", [6, 7])
    *_, three = redrive(run, fix=Fix(mend)).do()
    assert three.packed is not None
    assert [each.packed.records_in for each in (one, two, three) if each.packed] == [3, 2, 2]
    check_each_once(store, NO_KIND)


def test_positions_in_a_topic_are_places_too(store: MemoryStore) -> None:
    run = unbounded(store)
    for _ in range(2):
        files = DeadLetterFiles(store, run.layout, THREADS, THREADS)
        rejected = [RejectedRecord(None, "missing-stream", "no field", line) for line in NO_KIND]
        batch = LineBatch(list(NO_KIND), "topic/0", range(7), domain="topic", has_positions=True)
        files.add(DeadLetterBatch(rejected, spec_for().selector, batch))
        files.finish()
    [one] = redrive(run, fix=Fix(lambda letter: {**mend(letter), "at": letter.offset}), keeps_domains=True).do()
    assert one.packed is not None
    assert (one.packed.records_in, {file.domain for file in one.packed.shards}) == (7, {"topic"})
    check_each_once(store, NO_KIND)


def test_a_selection_that_another_program_changed_is_named(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    store.put(run.layout.redrive(0), b"{}", sha256=hashlib.sha256(b"{}").hexdigest(), content_type="text/plain")
    with pytest.raises(S3BoxError, match=r"redrives/00000\.json is not a selection of dead letters"):
        redrive(run).do()


def test_no_run_no_redrive(store: MemoryStore) -> None:
    with pytest.raises(ConfigurationError, match="names no run"):
        find_run(store, "nobody")
