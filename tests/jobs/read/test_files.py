"""The readers: every line once, whatever the file looks like and wherever it is split."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import fastavro
import pyarrow
import pyarrow.parquet
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read import files as readers
from beam_s3box.jobs.read.files import FileRange, Reading, ReadRecords
from beam_s3box.jobs.read.find import FoundInput, find_input
from beam_s3box.jobs.read.input_files import NO_OPTIONS
from beam_s3box.jobs.read.row_batches import as_lines
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.contents import kind_by_name
from beam_s3box.records.lines import split_lines
from beam_s3box.records.rejected_rows import RejectedRow

LOCAL = Reading(NO_OPTIONS)


def read(*patterns: object, input_format: str = "auto") -> beam.PCollection[Any]:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    return pipeline | ReadRecords([str(pattern) for pattern in patterns], input_format)


def one_by_one(element: Any) -> list[Any]:
    """Return the lines of a batch, or what else comes alone."""
    return [line for some in as_lines([element]) for line in (some.lines if isinstance(some, LineBatch) else [some])]


def check(records: beam.PCollection[Any], expected: list[Any]) -> None:
    assert_that(records | beam.FlatMap(one_by_one), equal_to(expected))
    records.pipeline.run().wait_until_finish()


@given(text=st.binary(max_size=200).map(lambda raw: raw.replace(b"\r", b"")), size=st.integers(1, 50))
def test_blocks_of_any_size_give_the_same_lines(text: bytes, size: int) -> None:
    blocks = [text[i : i + size] for i in range(0, len(text), size)]
    found = [line for batch in split_lines(iter(blocks)) for line in batch.lines]
    assert found == [line for line in text.split(b"\n") if line and not line.isspace()]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("split", [1, 2, 3, 7, 100])
def test_every_line_is_read_once_wherever_a_file_is_split(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, split: int, end: bytes
) -> None:
    lines = [b"x" * (i % 9) + b"%d" % i for i in range(40)]
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"\n".join(lines) + end)
    for block in (1, 5, 1000):
        monkeypatch.setattr(readers, "_READ_BYTES", block)
        monkeypatch.setattr(readers, "_BATCH_BYTES", 2 * block)
        size = path.stat().st_size
        parts = [FileRange(str(path), start, min(start + split, size), kind="jsonl") for start in range(0, size, split)]
        found = [line for part in parts for some in batches_of(part) for line in some.lines]
        assert found == lines


def test_plain_and_gzip_files_blank_lines_windows_line_ends_and_marks(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"i":1}\r\n\r\n  \n{"i":2}\n')
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b'{"i":3}\n') + gzip.compress(b'{"i":4}') + b"\0" * 20)
    (tmp_path / "c.jsonl").write_bytes(b"")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(b""))
    check(read(tmp_path / "*"), [b'{"i":%d}' % i for i in range(1, 5)])


def test_a_large_gzip_file_is_read_whole(tmp_path: pathlib.Path) -> None:
    lines = [b'{"i":%d,"pad":"%s"}' % (i, b"z" * 200) for i in range(30_000)]
    path = tmp_path / "large.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    found = [line for some in batches_of(FileRange(str(path), 0, -1)) for line in some.lines]
    assert found == lines


@pytest.mark.parametrize("damage", [lambda body: body[:-20], lambda body: b"no gzip", lambda body: body + b"rubbish"])
def test_a_damaged_gzip_file_is_an_error_and_not_fewer_records(tmp_path: pathlib.Path, damage: Any) -> None:
    path = tmp_path / "damaged.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b'{"i":1}\n' * 1000)))
    with pytest.raises(Exception, match=r"damaged\.jsonl\.gz' (is not valid gzip|ends in the middle)"):
        check(read(path), [])


def test_a_file_that_two_patterns_match_is_read_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"i":1}\n')
    check(read(tmp_path / "*.jsonl", tmp_path / "a.jsonl", tmp_path / "a.jsonl"), [b'{"i":1}'])
    check(read(tmp_path / "*.jsonl", f"{tmp_path}/./a.jsonl", f"{tmp_path}//a.jsonl"), [b'{"i":1}'])


def test_csv_values_stay_text_and_odd_rows_are_handed_on(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text('d,n,x\na,007,"one\ntwo, three"\nb,NA,\nshort\n\nc,é,1e3\n')
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfd,n,x\nz,1,2\n"))
    check(
        read(tmp_path / "*.csv", tmp_path / "*.csv.gz"),
        [
            b'{"d":"a","n":"007","x":"one\\ntwo, three"}',
            b'{"d":"b","n":"NA","x":""}',
            RejectedRow("csv-row-length", "1 value, and the file has 3 columns", str(tmp_path / "a.csv"), 5, b"short"),
            '{"d":"c","n":"é","x":"1e3"}'.encode(),
            b'{"d":"z","n":"1","x":"2"}',
        ],
    )


def test_a_pattern_that_matches_several_formats(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text("i\n1\n")
    (tmp_path / "b.jsonl").write_text('{"i":2}\n')
    (tmp_path / "c").write_text('{"i":3}\n')
    check(read(tmp_path / "*", tmp_path / "*.csv"), [b'{"i":"1"}', b'{"i":2}', b'{"i":3}'])


def test_a_runner_without_batches(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"i":1}\n{"i":2}\n')
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=BundleBasedDirectRunner"]))
    check(pipeline | ReadRecords([str(tmp_path / "a.jsonl")]), [b'{"i":1}', b'{"i":2}'])


def test_csv_that_is_none_names_the_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"d,n\n1,2\n\xff,1\n")
    with pytest.raises(Exception, match=r"a\.csv' is not valid CSV in UTF-8 at line 3: .*--csv_encoding"):
        check(read(tmp_path / "a.csv"), [])


def test_parquet_and_avro(tmp_path: pathlib.Path) -> None:
    rows = [{"d": "a", "n": "b", "i": i} for i in range(5)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    fields = [{"name": "d", "type": "string"}, {"name": "n", "type": "string"}, {"name": "i", "type": "long"}]
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, rows)
    check(
        read(tmp_path / "a.parquet", tmp_path / "a.avro"),
        [json.dumps(row, separators=(",", ":")).encode() for row in rows * 2],
    )


def test_names_tell_formats() -> None:
    names = ["a.csv", "a.CSV.gz", "a.parquet", "a.avro", "a.jsonl", "a.json.gz", "a", "a.log"]
    assert [kind_by_name(name) for name in names] == ["csv", "csv", "parquet", "avro", *[""] * 4]
    with pytest.raises(ConfigurationError, match="input_format='xml' is not known; known are auto, jsonl"):
        ReadRecords(["a"], "xml")


def test_patterns_that_match_nothing_are_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"{}")
    found = find_input([str(tmp_path / "*"), str(tmp_path / "a")], NO_OPTIONS)
    assert [file.path for file in found] == [str(tmp_path / "a")]
    with pytest.raises(ConfigurationError, match=r"input='.*/none-\*' matches no file"):
        list(find_input([str(tmp_path / "a"), str(tmp_path / "none-*")], NO_OPTIONS))


def test_a_batch_says_where_its_lines_stand(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_SPLIT_BYTES", 12)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n\n  \n5\n6\n7\n8\n9\n")
    parts = readers.ranges_of(FoundInput(str(path), path.stat().st_size, "", 0), LOCAL)
    found = [batch for part in parts for batch in batches_of(part)]
    assert [(batch.lines, list(batch.numbers), batch.offset) for batch in found] == [
        ([b"1", b"2", b"5", b"6"], [1, 2, 5, 6], 0),
        ([b"7", b"8", b"9"], [1, 2, 3], 12),
    ]
    assert {batch.source for batch in found} == {str(path)}
    assert found[0].part([0, 3]) == LineBatch([b"1", b"6"], str(path), [1, 6])


def batches_of(part: FileRange) -> Iterator[LineBatch]:
    return (batch for batch in readers.read_part(part, LOCAL) if isinstance(batch, LineBatch))


def test_json_lines_come_in_batches(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"i": i}) + "\n" for i in range(1000)))
    batches = batches_of(FileRange(str(path), 0, path.stat().st_size, kind="jsonl"))
    assert [len(batch.lines) for batch in batches] == [1000]
