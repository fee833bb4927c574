"""Files that are not what their names say, by the command line: read, or rejected by name before any work."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from tests.jobs.read.plain.conftest import PlainRun

LINES = b'{"id":1}\n{"id":2}\n'
TWO = [{"id": 1}, {"id": 2}]


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2]}), file)
    return file.getvalue()


def avro() -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, {"type": "record", "name": "r", "fields": [{"name": "id", "type": "int"}]}, TWO)
    return file.getvalue()


def xlsx() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


READ: dict[str, bytes] = {
    "lines.jsonl": LINES,
    "[1].jsonl": LINES,
    "lines.jsonl.bz2": bz2.compress(LINES),
    "lines.jsonl.xz": lzma.compress(LINES),
    "lines.jsonl.zst": zstd.compress(LINES),
    "LINES.JSONL.GZ": gzip.compress(LINES),
    "gzip_named.jsonl": gzip.compress(LINES),
    "members.gz": gzip.compress(LINES[:12]) + gzip.compress(b"") + gzip.compress(LINES[12:]) + bytes(512),
    "utf16.jsonl": LINES.decode().encode("utf-16"),
    "bom.jsonl": b"\xef\xbb\xbf" + LINES,
    "pretty.json": b'{\n  "id": 1\n}\n{\n  "id": 2\n}\n',
    "array.json": b'[{"id":1},{"id":2}]\n',
    "array_lines.json": b'[\n{"id":1},\n{"id":2}\n]\n',
    "concatenated.json": b'{"id":1}{"id":2}',
    "firehose": gzip.compress(b'{"id":1}{"id":2}'),
    "packed_array.json.gz": gzip.compress(b'[\n{"id":1},{"id":2}]'),
    "parquet_without_extension": parquet(),
    "data.pq": parquet(),
    "avro_named.jsonl": avro(),
    "empty.jsonl.gz": gzip.compress(b""),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "book.xlsx": (xlsx(), "it is a zip archive, as .xlsx files are too"),
    "zip_named.jsonl": (xlsx(), "it is a zip archive"),
    "packed.parquet.gz": (gzip.compress(parquet()), "it is Parquet packed with gzip: unpack it"),
    "packed.avro.gz": (gzip.compress(avro()), "it is Avro packed with gzip: unpack it"),
    "utf16le.jsonl": (LINES.decode().encode("utf-16-le"), "it is JSON in UTF-16 without a byte order mark"),
    "cut_to_nothing.jsonl.gz": (b"", "has 0 bytes: it is empty, and gzip never is"),
    "no_gzip.jsonl.gz": (b"id,name\n", "is not valid gzip: it begins with b'id,name"),
}

# a whole block of gzip comes before what is missing, and none of zstd: so early that is seen
BROKEN: dict[str, tuple[bytes, str, int]] = {
    "cut.jsonl.gz": (gzip.compress(LINES * 9)[:-9], "ends in the middle of its gzip data: copy it again", 1),
    "cut.jsonl.zst": (zstd.compress(LINES * 9)[:-5], "ends in the middle of its zstd data: copy it again", 2),
    "cut_array.json": (b'[\n{"id":1},\n{"id":2}\n', "ends in the middle of its array: copy it again", 1),
    "bad_pretty.json": (b'{\n"id": 1\n}\n{\n"id" 2\n}\n', "is no JSON at byte 19, in record 2: expected ':'", 1),
}


@pytest.fixture(scope="session")
def ended(
    plain_backfill: Callable[[dict[str, tuple[str, ...]]], dict[str, PlainRun]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, PlainRun]:
    folder = tmp_path_factory.mktemp("contents")
    jobs: dict[str, tuple[str, ...]] = {}
    bodies = READ | {name: body for name, (body, _) in REFUSED.items()}
    bodies |= {name: body for name, (body, *_) in BROKEN.items()}
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
        jobs[name] = (f"--input={folder / name}",)
    (folder / "cut.json").write_bytes(b'{"id":1}{"id":2}{"id"')
    jobs["cut.json"] = (f"--input={folder / 'cut.json'}",)
    jobs["as_lines"] = (f"--input={folder / 'array_lines.json'}", "--input_format=jsonl")
    spark = folder / "spark"
    for name in ("_SUCCESS", "._SUCCESS.crc", "dt=2024-01-01/.part.crc", "dt=2024-01-01/_metadata"):
        (spark / name).parent.mkdir(parents=True, exist_ok=True)
        (spark / name).write_bytes(b"\0\1")
    (spark / "dt=2024-01-01" / "part-0").write_bytes(LINES)
    (spark / "dt=2024-01-01" / "part-1").write_bytes(parquet())
    jobs["spark"] = (f"--input={spark}/**", "--path_columns")
    jobs["folder"] = (f"--input={spark}",)
    return plain_backfill(jobs)


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_is_read(ended: dict[str, PlainRun], name: str) -> None:
    run = ended[name]
    assert run.code == 0, run.error
    assert not run.dead_letters
    assert run.records == ([] if name.startswith("empty") else TWO)


@pytest.mark.parametrize("name", ["pretty.json", "array.json", "concatenated.json", "firehose"])
def test_what_is_not_a_record_a_line_is_told(ended: dict[str, PlainRun], name: str) -> None:
    (line,) = [line for line in ended[name].error.splitlines() if "each object is a record" in line]
    assert "1 file holds JSON objects over several lines" in line
    assert name in line


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_read_is_rejected_before_any_work(ended: dict[str, PlainRun], name: str) -> None:
    check_named(ended[name], 2, name, REFUSED[name][1])


@pytest.mark.parametrize("name", BROKEN)
def test_what_ends_too_soon_fails_with_its_name(ended: dict[str, PlainRun], name: str) -> None:
    check_named(ended[name], BROKEN[name][2], name, BROKEN[name][1])


def check_named(run: PlainRun, code: int, name: str, said: str) -> None:
    assert run.code == code, run.error
    (line,) = [line for line in run.error.splitlines() if line.startswith("error: ")]
    assert f"{name}'" in line
    assert said in line


def test_a_record_that_is_cut_is_a_dead_letter(ended: dict[str, PlainRun]) -> None:
    run = ended["cut.json"]
    assert run.records == TWO
    assert [letter["raw"] for letter in run.dead_letters] == ['{"id"']


def test_lines_are_lines_where_that_is_said(ended: dict[str, PlainRun]) -> None:
    run: Any = ended["as_lines"]
    assert run.records == [{"id": 2}]
    assert len(run.dead_letters) == 3


def test_a_folder_of_spark(ended: dict[str, PlainRun]) -> None:
    run = ended["spark"]
    assert run.code == 0, run.error
    assert run.records == [{"dt": "2024-01-01", "id": number} for number in (1, 2)] * 2
    assert not run.dead_letters
    assert "left out, as their names are not those of data: " in run.error


def test_a_folder_has_a_hint(ended: dict[str, PlainRun]) -> None:
    run = ended["folder"]
    assert run.code == 2
    assert "is a folder: did you mean '" in run.error
