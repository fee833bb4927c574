"""Dead letters of a write: each bad record is one, good ones next to it are not, and too many fail the pipeline."""

from __future__ import annotations

import pathlib
import typing
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows

from beam_s3box import WriteToS3Box
from beam_s3box.stores import open_store
from beam_s3box.stores.memory import MemoryStore
from tests.readback import read_back
from tests.transforms.writes import BY_FIELD, counters, options, write

BAD = {
    b"[1]": "not-an-object",
    b"{": "not-json",
    b'{"d":"a","n":"b","x":"\xff"}': "invalid-utf8",
    b'{"d":"a","n":"b","x":"\\ud800"}': "lone-surrogate",
    b'{"d":"a","n":"b","x":"\\u0000"}': "nul-character",
    b'{"d":"a"}': "missing-stream",
    b'{"d":"a","n":true}': "bad-stream",
    b'{"d":"","n":"b"}': "bad-stream",
    b'{"d":"a","n":"b","x":"' + b"|" * 2_000_001 + b'"}': "too-large",
}


@pytest.mark.parametrize("batched", [False, True])
def test_bad_records_are_dead_letters_and_good_ones_beside_them_are_not(store: MemoryStore, batched: bool) -> None:
    elements = [b'{"d":"a","n":"b","i":%d}' % i for i in range(20)] + list(BAD) + [7, None]
    pipeline = beam.Pipeline(options=options())
    made = pipeline | beam.Create([elements] if batched else elements)
    made = made | beam.ParDo(Batches()) if batched else made
    result = made | WriteToS3Box(store, **BY_FIELD)
    letters = result.dead_letters | beam.Map(lambda letter: (letter.raw, letter.reason))
    expected = [*BAD.items(), (b"7", "not-an-object"), (b"None", "not-an-object")]
    assert_that(letters, equal_to(expected))
    done = pipeline.run()
    done.wait_until_finish()
    found = read_back(store)
    totals = counters(done)
    assert sorted(record["i"] for record in found.all_records()) == list(range(20))
    assert len(found.dead_letters) == totals["dead_letters"] == len(expected)
    assert totals["records_in"] == totals["records_listed"] + totals["dead_letters"] == 31
    assert totals["dead_letters_not_an_object"] == 3
    kept = {letter.get("raw") or bytes.fromhex(letter["raw_hex"]) for letter in found.dead_letters}
    assert kept == {_text(raw) for raw, _ in expected}


def _text(raw: bytes) -> str | bytes:
    return raw if b"\xff" in raw else raw.decode()


class Batches(beam.DoFn):
    @beam.DoFn.yields_batches
    def process(self, element: list[Any]) -> typing.Iterator[list[Any]]:
        yield element

    def get_output_batch_type(self, input_element_type: Any) -> Any:
        return beam.typehints.List[Any]

    def infer_output_type(self, input_type: Any) -> Any:
        return Any


def test_a_bad_record_fails_the_pipeline_where_asked(store: MemoryStore) -> None:
    with pytest.raises(Exception, match=r"missing-stream: no field 'n'.*on_bad_record='dead_letter'"):
        write(store, [{"d": "a"}], on_bad_record="fail")
    assert read_back(store).manifests == {}


def test_nul_and_size_are_no_matter_without_manifests(store: MemoryStore) -> None:
    big = b'{"d":"a","n":"b","x":"' + b"|" * 4_000_001 + b'"}'
    totals = write(store, [big, b'{"d":"a","n":"b","x":"\\u0000"}'], manifests=None)
    assert totals.get("dead_letters", 0) == 0
    assert totals["raw_bytes"] > 4_000_001
    assert not read_back(store).manifests


def test_a_pipeline_of_ones_own_fails_where_all_are_dead_letters_and_its_log_says_why(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    elements = [{"D": "a", "n": "b"}] * 7
    with pytest.raises(Exception, match=r"7 of 7 records are dead letters, that is every one: 7 missing-stream: "):
        write(store, elements)
    assert read_back(store).manifests == {}
    warnings = [record.getMessage() for record in caplog.records if "dead letters of run" in record.getMessage()]
    assert len(warnings) == 1
    assert "1 missing-stream: no field 'd', or it is null; fields there: D, n; did you mean 'D'?" in warnings[0]
    write(store, elements, max_dead_letters="100%")
    write(store, [*elements, {"d": "a", "n": "b"}])
    assert len(read_back(store).manifests) == 1


@pytest.mark.parametrize("runner", ["FnApiRunner", "multi_processing"])
@pytest.mark.parametrize("manifests", ["auto", None])
def test_a_share_is_that_of_all_bundles(tmp_path: pathlib.Path, runner: str, manifests: Any) -> None:
    store = open_store(tmp_path / "box")
    elements = [{"d": "a", "n": "b"} if i % 4 else {"d": "a"} for i in range(400)]
    write(store, elements, runner, max_dead_letters="25%", manifests=manifests)
    with pytest.raises(Exception, match=r"100 of 400 records are dead letters, more than max_dead_letters='24%'"):
        write(store, elements, runner, max_dead_letters="24%", manifests=manifests)


class FailsOnce(beam.DoFn):
    """Fails its bundle once, behind the write's first step, whose records then come again."""

    def __init__(self, mark: pathlib.Path) -> None:
        self._mark = mark

    def process(self, shard: Any) -> None:
        if not self._mark.exists():
            self._mark.touch()
            raise RuntimeError("this bundle is done again")


def test_a_bundle_that_is_done_again_counts_once(tmp_path: pathlib.Path) -> None:
    """By a counter it would be 40 dead letters, and too many."""
    store = open_store(tmp_path / "box")
    elements = [{"d": "a", "n": "b"} if i % 2 else {"d": "a"} for i in range(40)]
    pipeline = beam.Pipeline(options=options("BundleBased"))
    result = pipeline | beam.Create(elements) | WriteToS3Box(store, **BY_FIELD, max_dead_letters=20)
    _ = result.dead_letters | beam.ParDo(FailsOnce(tmp_path / "mark"))
    pipeline.run().wait_until_finish()
    assert (tmp_path / "mark").exists()
    assert len(list(read_back(store).all_records())) == 20


def test_dead_letters_come_one_by_one_where_beam_hands_over_to_a_runner_without_batches(tmp_path: pathlib.Path) -> None:
    """DirectRunner is several: which of them runs a pipeline is known when all of its steps are."""
    store = open_store(tmp_path / "box")
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner", "--streaming"]))
    script = TestStream().add_elements([{"d": "a", "n": "b"}, {"d": "a"}, {"n": "b"}]).advance_watermark_to_infinity()
    result = pipeline | script | WriteToS3Box(store, **BY_FIELD, windowing=FixedWindows(60))
    reasons = result.dead_letters | beam.Map(lambda letter: letter.reason)
    assert_that(reasons, equal_to(["missing-stream"] * 2))
    pipeline.run().wait_until_finish()
    assert len(read_back(store).dead_letters) == 2
