"""Files as people have them, from other tools and broken ones: right, a dead letter of the row, or one plain sentence."""

from __future__ import annotations

import datetime
import decimal
import gzip
import pathlib
import struct
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from tests.jobs.read.plain.conftest import PlainRun

CSV: dict[str, tuple[bytes, list[tuple[Any, Any]]]] = {
    "tabs.tsv": (b"id\tname\n1\tAnn\n2\tBob, Jr\n", [("1", "Ann"), ("2", "Bob, Jr")]),
    "semicolons.csv": (b"id;name\n1;1,50\n2;2\n", [("1", "1,50"), ("2", "2")]),
    "packed.csv.gz": (gzip.compress(b"id|name\n1|a;b\n"), [("1", "a;b")]),
    "blank_first_line.csv": (b"\n\r\nid,name\n1,Eve\n", [("1", "Eve")]),
    "comment_first.csv": (b"# export\nid,name\n1,Flo\n", [("1", "Flo")]),
    "old_mac.csv": (b"id,name\r1,Gus\r2,Hal\r", [("1", "Gus"), ("2", "Hal")]),
    "long_field.csv.gz": (gzip.compress(b"id,name\n1," + b"a" * 140_000 + b"\n"), [("1", "a" * 140_000)]),
    "ragged.csv": (b'id,name\n1,Ivy\n2\n"3\n",Cid,x\n4,Dan\n', [("1", "Ivy"), ("4", "Dan")]),
}
"""Content, values of id and name."""

OPTIONS: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "latin1": ("id,name\n1,ä\n".encode("latin-1"), "--csv_encoding=latin-1", {"id": "1", "name": "ä"}),
    "types": (b"id,name\n1,007\n", "--csv_types=infer", {"id": 1, "name": "007"}),
    "rename": (b"id,id\n1,2\n", "--csv_duplicate_names=rename", {"id": "1", "id_2": "2"}),
}
"""Content, an option, the record."""

NAMED: dict[str, tuple[bytes, str]] = {
    "dup_header.csv": (b"id,amount,amount\n1,10,20\n", "more than one column is named 'amount'"),
    "unnamed_columns.csv": (b"id,,\n1,left,right\n", "column 2 has no name, and column 3 has no name"),
    "trailing_comma.csv": (b"id,name,\n1,Ann,\n", "column 3 has no name"),
    "pandas_index.csv": (b",name\n0,Ann\n", "column 1 has no name"),
    "bad_quote.csv": (b'id,name\n1,Ann\n2,"Bob" Jr\n3,Cid\n', "is not valid CSV at line 3: ',' expected after '\"'"),
    "doubt.csv": (b"a,b;c\n1,2;3\n", "could be ',' or ';': say which by --csv_delimiter"),
    "latin1.csv": ("id,name\n1,a\n2,ä\n".encode("latin-1"), "is not valid CSV in UTF-8 at line 3"),
    "utf16.csv": ("id,name\n1,a\n".encode("utf-16-le"), "it is CSV in UTF-16 without a byte order mark"),
    "utf16be.csv": ("id,name\n1,a\n".encode("utf-16-be"), "or give --csv_encoding=utf-16-be"),
    "empty.parquet": (b"", "has 0 bytes"),
    "empty.avro": (b"", "has 0 bytes"),
}
"""Content, and what is said of it."""


def parquet(path: pathlib.Path, table: pa.Table, **options: Any) -> bytes:
    pq.write_table(table, path, **options)
    return path.read_bytes()


class Keys(pe.KmsClient):
    """Wraps nothing."""

    def __init__(self, _: object) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: object) -> bytes:
        return b64encode(key)

    def unwrap_key(self, key: bytes, _: object) -> bytes:
        return b64decode(key)


def encrypted(path: pathlib.Path, *, plaintext_footer: bool) -> None:
    """Write a file whose first column is encrypted."""
    settings = pe.EncryptionConfiguration(footer_key="f", column_keys={"c": ["b"]}, plaintext_footer=plaintext_footer)
    properties = pe.CryptoFactory(Keys).file_encryption_properties(pe.KmsConnectionConfig(), settings)
    table = pa.table({"b": ["secret"], "a": [1]})
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)


def avro(path: pathlib.Path, fields: list[Any], rows: list[Any], **options: Any) -> bytes:
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, rows, **options)
    return path.read_bytes()


def make_binary(folder: pathlib.Path) -> None:
    """Write Parquet and Avro files."""
    day = datetime.datetime
    until = [day(9999, 12, 31), day(2024, 1, 1), day(1677, 1, 1)]
    parquet(
        folder / "int96_far.parquet",
        pa.table({"until": pa.array(until, pa.timestamp("us"))}),
        use_deprecated_int96_timestamps=True,
    )
    amounts = [pa.array([1]), pa.array([10]), pa.array([20])]
    parquet(folder / "dup_columns.parquet", pa.Table.from_arrays(amounts, names=["id", "amount", "amount"]))
    nanoseconds = {
        "t": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
        "time": pa.array([3_723_000_001_123], pa.time64("ns")),
        "d": pa.array([1_500_000_001], pa.duration("ns")),
    }
    parquet(folder / "nanoseconds.parquet", pa.table(nanoseconds))
    far = pa.array([253_402_300_800_000_000, 0], pa.timestamp("us"))
    parquet(folder / "year_10000.parquet", pa.table({"id": [1, 2], "t": far}))
    parquet(folder / "date_bc.parquet", pa.table({"id": [1, 2], "t": pa.array([-719_163, 0], pa.date32())}))
    numbers = [decimal.Decimal("1.1"), decimal.Decimal("0"), decimal.Decimal("0.0000000001")]
    whole = parquet(folder / "decimals.parquet", pa.table({"d": pa.array(numbers, pa.decimal128(20, 10))}))
    maps = {
        "text": pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int64())),
        "number": pa.array([[(1, "x")]], pa.map_(pa.int32(), pa.string())),
    }
    parquet(folder / "map.parquet", pa.table(maps))
    offsets = pa.py_buffer(struct.pack("<3i", 0, 1, 3))
    bad = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xffok")])
    parquet(folder / "invalid_utf8.parquet", pa.table({"id": [1, 2], "t": bad}))
    (folder / "cut.parquet").write_bytes(whole[:-20])
    (folder / "bad_page.parquet").write_bytes(whole[:4] + b"\xff" * 12 + whole[16:])
    encrypted(folder / "encrypted_first.parquet", plaintext_footer=True)
    encrypted(folder / "encrypted_footer.parquet", plaintext_footer=False)
    dates = [{"name": "id", "type": "int"}, {"name": "t", "type": {"type": "int", "logicalType": "date"}}]
    avro(folder / "year_10183.avro", dates, [{"id": 1, "t": 3_000_000}, {"id": 2, "t": 0}])
    ids = [{"name": "id", "type": "int"}]
    rows = [{"id": number} for number in range(50)]
    for codec in ("null", "deflate", "snappy", "zstandard", "bzip2", "xz"):
        avro(folder / f"{codec}.avro", ids, rows, codec=codec)
    (folder / "cut.avro").write_bytes((folder / "null.avro").read_bytes()[:-30])


BROKEN = {
    "dup_columns.parquet": "has more than one column of the name 'amount'",
    "cut.parquet": "does not end as a Parquet file does",
    "bad_page.parquet": "can't be read as Parquet after row 0: ",
    "encrypted_first.parquet": "is an encrypted Parquet file",
    "encrypted_footer.parquet": "is an encrypted Parquet file",
    "cut.avro": "can't be read as Avro after row ",
}

WHOLE: dict[str, list[dict[str, Any]]] = {
    "int96_far.parquet": [
        {"until": text} for text in ("9999-12-31T00:00:00Z", "2024-01-01T00:00:00Z", "1677-01-01T00:00:00Z")
    ],
    "nanoseconds.parquet": [{"t": "2023-11-14T22:13:20.123456Z", "time": "01:02:03.000001", "d": "PT1.5S"}],
    "decimals.parquet": [{"d": text} for text in ("1.1000000000", "0.0000000000", "0.0000000001")],
    "map.parquet": [{"text": {"a": 1, "b": 2}, "number": [[1, "x"]]}],
    **{
        f"{codec}.avro": [{"id": i} for i in range(50)]
        for codec in ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
    },
}

ONE_BAD_ROW = {
    "year_10000.parquet": ("unsupported-value", "'t' is 10000-01-01", "1970-01-01T00:00:00Z"),
    "date_bc.parquet": ("unsupported-value", "'t' is 0000-12-31", "1970-01-01"),
    "invalid_utf8.parquet": ("invalid-utf8", "'t' is not valid UTF-8", "ok"),
    "year_10183.avro": ("unsupported-value", "'t' is 10183-09-21", "1970-01-01"),
}


RAGGED = [
    ("csv-row-length", "1 value, and the file has 2 columns", "2"),
    ("csv-row-length", "3 values, and the file has 2 columns", '"3\n",Cid,x'),
]


@pytest.fixture(scope="session")
def ended(
    plain_backfill: Callable[[dict[str, tuple[str, ...]]], dict[str, PlainRun]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, PlainRun]:
    """The backfill of all files that can be read, and one of each of the others."""
    good, bad = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("bad")
    make_binary(good)
    for name, (data, _) in CSV.items():
        (good / name).write_bytes(data)
    jobs: dict[str, tuple[str, ...]] = {"good": (f"--input={good}/*", "--long_values=keep")}
    for name in BROKEN:
        (good / name).rename(bad / name)
    for name, (data, _) in NAMED.items():
        (bad / name).write_bytes(data)
    jobs.update({name: (f"--input={bad / name}",) for name in (*BROKEN, *NAMED)})
    for name, (data, option, _) in OPTIONS.items():
        (bad / f"{name}-option.csv").write_bytes(data)
        jobs[name] = (f"--input={bad}/{name}-option.csv", option)
    return plain_backfill(jobs)


def test_what_can_be_read_is_right(ended: dict[str, PlainRun]) -> None:
    run = ended["good"]
    assert run.code == 0, run.error
    expected = [{"id": id_, "name": name} for _, values in CSV.values() for id_, name in values]
    expected += [{"id": 2, "t": other} for _, _, other in ONE_BAD_ROW.values()]
    expected += [row for values in WHOLE.values() for row in values]
    assert sorted(map(repr, run.records)) == sorted(map(repr, expected))


@pytest.mark.parametrize("name", ONE_BAD_ROW)
def test_a_value_that_can_not_be_written_is_a_dead_letter_of_its_row(ended: dict[str, PlainRun], name: str) -> None:
    reason, said, _ = ONE_BAD_ROW[name]
    (letter,) = _letters_of(ended["good"], name)
    assert letter["reason"] == reason
    assert said in letter["detail"]
    assert letter["raw"].startswith('{"id":1,"t":"')
    assert letter["line"] == 1


def test_ragged_rows_are_dead_letters_with_their_text(ended: dict[str, PlainRun]) -> None:
    letters = _letters_of(ended["good"], "ragged.csv")
    assert [(letter["reason"], letter["detail"], letter["raw"]) for letter in letters] == RAGGED
    assert [letter["line"] for letter in letters] == [3, 4]
    assert len(ended["good"].dead_letters) == len(ONE_BAD_ROW) + len(RAGGED)


def _letters_of(run: PlainRun, name: str) -> list[dict[str, Any]]:
    return [letter for letter in run.dead_letters if letter["source"].endswith(f"/{name}")]


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_csv(ended: dict[str, PlainRun], name: str) -> None:
    run = ended[name]
    assert run.code == 0, run.error
    assert run.records == [OPTIONS[name][2]]


@pytest.mark.parametrize("name", [*NAMED, *BROKEN])
def test_what_can_not_be_read_is_named_in_one_sentence(ended: dict[str, PlainRun], name: str) -> None:
    run, said = ended[name], BROKEN.get(name) or NAMED[name][1]
    assert run.code in (1, 2), run
    (line,) = [line for line in run.error.splitlines() if line.startswith("error: ")]
    assert f"/{name}'" in line
    assert said in line
    assert not run.error.rstrip().endswith(":")


def test_the_environment_has_no_pandas(plain_python: str) -> None:
    done = subprocess.run([plain_python, "-c", "import pandas"], capture_output=True, check=False)
    assert done.returncode == 1
