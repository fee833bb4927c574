"""First bytes say what a file is, whatever it is called; what can't be read is rejected by name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest
from backports import zstd as zstd_module

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.contents import Contents, contents_of, json_batches

LINES = b'{"id":1}\n{"id":2}\n'


class InPieces:
    """Gives a few bytes at a time, as a pipe does."""

    def __init__(self, body: bytes, size: int) -> None:
        self._file = io.BytesIO(body)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._size))


def contents(body: bytes, path: str = "data", input_format: str = "auto", size: int = 1 << 20) -> Contents:
    return contents_of(InPieces(body, size), path, input_format)


def records(body: bytes, path: str = "data", size: int = 1 << 20) -> list[bytes]:
    found = contents(body, path, size=size)
    return [line for batch in json_batches(found, path, 1 << 20) for line in batch.lines]


def zstd(body: bytes) -> bytes:
    return zstd_module.compress(body)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}


@pytest.mark.parametrize("size", [1, 2, 5, 1 << 20])
@pytest.mark.parametrize("name", ["data", "data.jsonl", "data.gz", "data.zst"])
@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files_are_read_under_any_name(packing: str, name: str, size: int) -> None:
    pack = PACKERS[packing]
    assert records(pack(LINES) + pack(b"") + pack(b'{"id":3}'), name, size) == [*LINES.splitlines(), b'{"id":3}']
    assert contents(pack(LINES)).packing == packing


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files_that_end_too_soon_or_are_damaged_are_named(packing: str) -> None:
    body = PACKERS[packing](b"".join(b'{"id":%d}\n' % i for i in range(5_000)))
    for end in (20, len(body) // 2, len(body) - 1):
        with pytest.raises(ConfigurationError, match=f"'data' ends in the middle of its {packing} data"):
            records(body[:end])
    with pytest.raises(ConfigurationError, match=f"'data' is not valid {packing}"):
        records(body[:10] + bytes(byte ^ 255 for byte in body[10:]))


def test_a_file_that_is_only_called_packed_is_read_if_it_is_json() -> None:
    assert records(LINES, "data.jsonl.gz") == LINES.splitlines()
    with pytest.raises(ConfigurationError, match=r"'data\.zst' is not valid zstd: it begins with b'no json'"):
        records(b"no json", "data.zst")


@pytest.mark.parametrize(
    ("name", "input_format", "what"),
    [
        ("a.jsonl.GZ", "auto", "gzip"),
        ("a.csv.zst", "csv", "zstd"),
        ("a.avro", "auto", "Avro"),
        ("a", "parquet", "Parquet"),
    ],
)
def test_no_byte_is_an_error_where_there_are_always_some(name: str, input_format: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}' has 0 bytes: it is empty, and {what} never is"):
        contents(b"", name, input_format)
    assert contents(b"", "a.jsonl").kind == "jsonl"
    assert records(gzip.compress(b""), "a.gz") == []


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(encoding: str, size: int) -> None:
    text = '{"name":"é😀"}\n{"id":2}\n'
    assert records(text.encode(encoding), size=size) == text.encode().splitlines()
    with pytest.raises(ConfigurationError, match="'data' is not valid UTF-16"):
        records(text.encode("utf-16")[:-1])


def tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        made.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a", "b")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (archive(), r"a zip archive, as \.xlsx files are too"),
        (b"ORC\x01", "ORC"),
        (b"\x04\x22\x4d\x18...", "packed with lz4"),
        ('{"id":1}'.encode("utf-16-le"), "JSON in UTF-16 without a byte order mark"),
        (b"\x02\x21\x4c\x18...", "packed with an old version of lz4"),
        (lzma.compress(LINES, format=lzma.FORMAT_ALONE), "packed with lzma"),
        (tar(), "a tar archive"),
        (tar(tarfile.GNU_FORMAT), "a tar archive"),
        (gzip.compress(tar()), "a tar archive"),
        (gzip.compress(b"PAR1...."), "Parquet packed with gzip"),
        (bz2.compress(b"Obj\x01..."), "Avro packed with bzip2"),
        (gzip.compress(gzip.compress(b"{}")), "packed twice, with gzip and gzip"),
        (zstd(archive()), "a zip archive"),
    ],
)
def test_what_can_not_be_read_is_rejected_by_name(body: bytes, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"input='data' can't be read: it is {what}"):
        contents(body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("part-00000.json.deflate", zlib.compress(LINES)),
        ("part-00000.json.snappy", b"\0\0\0\x12\0\0\0\x14\x12\x44" + LINES),  # Hadoop's
        ("raw.snappy", b"\x12\x44" + LINES),
        ("part-00000.JSON.LZ4", b"\0\0\0\x12\0\0\0\x14\xf0\x03" + LINES),
        ("data.csv.br", b"\x0b\x08\x80" + LINES + b"\x03"),
        ("data.lzo", b"\x89LZO"),
    ],
)
def test_packings_without_first_bytes_are_rejected_by_their_names(name: str, body: bytes) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}' can't be read: it is packed with .*, as its name says"):
        contents(body, name)
    assert contents(LINES, name).kind in ("jsonl", "csv")  # called so, and text


@pytest.mark.parametrize(
    "text", [b"BZh9,a", b"BZhang,a", b"Rar!,a", b"ORC", b"PAR1x", b"ARROW1", b"x" * 253 + b",custard"]
)
def test_text_with_the_mark_of_a_binary_file_is_read(text: bytes) -> None:
    found = contents(text + b"\n1\n", "data.csv")
    assert (found.kind, found.packing, b"".join(found.blocks)) == ("csv", "", text + b"\n1\n")
    line = b'{"i":"' + b"x" * 248 + b'mustard"}\n'
    assert contents(line).kind == "jsonl"


def test_the_kind_is_by_the_first_bytes_then_by_the_name() -> None:
    assert contents(b"PAR1", "data.jsonl").kind == "parquet"
    assert contents(b"Obj\x01", "data.csv").kind == "avro"
    assert contents(b"id,name\n", "data.csv.gz".removesuffix(".gz")).kind == "csv"
    assert contents(gzip.compress(b"id,name\n"), "data.TSV.gz").kind == "csv"
    assert contents(b"id,name\n").kind == "jsonl"
    assert contents(b'[\n{"id":1}]', "data.jsonl").kind == "json"
    assert contents(b'[\n{"id":1}]', "data.jsonl", "jsonl").kind == "jsonl"
    assert contents(LINES, input_format="json").kind == "json"
    with pytest.raises(ConfigurationError, match="'data' is Parquet, and input_format='jsonl' is given: leave it out"):
        contents(b"PAR1", input_format="jsonl")
    assert contents(b"PAR1", input_format="parquet").kind == "parquet"


@pytest.mark.parametrize("word", [b"ORCID", b"PAR1"])
def test_a_header_of_csv_is_no_mark_of_a_binary_file(word: bytes) -> None:
    assert contents(word + b",name\r\n1,x\r\n", "people.csv").kind == "csv"
    assert contents(word + b",name\n1,x\n", "people", "csv").kind == "csv"


def test_a_pipe_is_looked_at_a_line_and_no_further() -> None:
    file = InPieces(b'{"id":1}\nwould wait for ever', 9)
    assert contents_of(file, "standard input").kind == "jsonl"
    assert file.read(100) == b"would wai"
