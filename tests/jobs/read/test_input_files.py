"""Files are read in one version: what is replaced or changed while it is read is an error that names it."""

from __future__ import annotations

import gzip
import io
import operator
import os
import pathlib
from collections.abc import Callable, Iterator

import apache_beam as beam
import fastavro
import pyarrow
import pyarrow.parquet
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from backports import zstd

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read import files as readers
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.files import FileRange, Reading, ReadRecords
from beam_s3box.jobs.read.find import FoundInput, find_input
from beam_s3box.jobs.read.input_files import NO_OPTIONS, find_version, opened, s3_access_of
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import cut_line_of
from tests.s3_proxy import Fault, Proxy, Request, s3_proxy
from tools.seaweedfs import Server

LOCAL = Reading(NO_OPTIONS)
CHANGED = r"in\.jsonl.* has changed since it was found"
OLD = b"".join(b'{"i":%d}\n' % i for i in range(100))
NEW = OLD.replace(b"i", b"j")


ROWS = Reading(NO_OPTIONS, rows=RowOptions(CsvDialect(types="infer")))


def batches_of(part: FileRange, reading: Reading) -> Iterator[LineBatch]:
    return (batch for batch in readers.read_part(part, reading) if isinstance(batch, LineBatch))


def lines_of(part: FileRange, reading: Reading) -> list[bytes]:
    return [line for batch in batches_of(part, reading) for line in batch.lines]


def parquet() -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"i": [1, 2]}), file)
    return file.getvalue()


def avro() -> bytes:
    file = io.BytesIO()
    schema = {"type": "record", "name": "r", "fields": [{"name": "i", "type": "int"}]}
    fastavro.writer(file, schema, [{"i": 1}, {"i": 2}])
    return file.getvalue()


BODIES: dict[str, Callable[[], bytes]] = {
    "jsonl": lambda: b'{"i":1}\n{"i":2}\n',
    "csv": lambda: b"i\n1\n2\n",
    "parquet": parquet,
    "avro": avro,
}


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_SPLIT_BYTES", 200)
    monkeypatch.setattr(readers, "_READ_BYTES", 64)
    monkeypatch.setattr(readers, "_BATCH_BYTES", 64)


def ranges_of(path: str, size: int, reading: Reading) -> Iterator[FileRange]:
    return readers.ranges_of(FoundInput(path, size, "", 0), reading)


def all_lines(parts: Iterator[FileRange] | list[FileRange], most: int = 1000, reading: Reading = LOCAL) -> list[bytes]:
    reading = reading._replace(max_line_bytes=most)
    return [line for part in parts for batch in batches_of(part, reading) for line in batch.lines]


@pytest.mark.parametrize("split", [1, 3, 7, 20, 1000])
@pytest.mark.parametrize("block", [1, 2, 5, 1000])
def test_lines_longer_than_many_ranges_are_read_once_or_cut_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, split: int, block: int
) -> None:
    monkeypatch.setattr(readers, "_READ_BYTES", block)
    monkeypatch.setattr(readers, "_TAIL_BYTES", block)
    lines = [b"a", b"b" * 30, b"c" * 9, b"d" * 100, b"e", b"f" * 31]
    path = tmp_path / "in.jsonl"
    for end in (b"", b"\n", b"\r\n"):
        path.write_bytes((end or b"\n").join(lines) + end)
        size = path.stat().st_size
        parts = [FileRange(str(path), start, min(start + split, size), kind="jsonl") for start in range(0, size, split)]
        for most in (1, 10, 30, 31, 1000):
            found = all_lines(parts, most)
            cuts = [cut_line_of(line) for line in found]
            for line, was, cut in zip(found, lines, cuts, strict=True):
                assert line == was if cut is None else (len(was) >= most and was.startswith(cut.head) and cut.head)


def test_the_ranges_beside_a_long_line_read_no_more_than_themselves(
    tmp_path: pathlib.Path, small_ranges: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a file of one line would be read once for each of its ranges."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"x" * 100_000)
    read: list[int] = []

    class Counted:
        def __init__(self, file: object) -> None:
            self.file = file

        def read(self, size: int) -> bytes:
            read.append(size)
            return self.file.read(size)  # type: ignore[attr-defined, no-any-return]

        def seek(self, position: int) -> None:
            self.file.seek(position)  # type: ignore[attr-defined]

    plain = readers._blocks
    monkeypatch.setattr(readers, "_blocks", lambda file, *rest: plain(Counted(file), *rest))
    monkeypatch.setattr(readers, "_TAIL_BYTES", 64)
    assert len(all_lines(ranges_of(str(path), 100_000, LOCAL))) == 1
    assert sum(read) < 102_500


def replace(path: pathlib.Path, body: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(body)
    os.replace(other, path)


def overwrite(path: pathlib.Path, body: bytes) -> None:
    found = path.stat()
    path.write_bytes(body)
    # a clock of coarse steps may give the same time
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


def append(path: pathlib.Path, body: bytes) -> None:
    with path.open("ab") as file:
        file.write(body)


@pytest.mark.parametrize("change", [replace, overwrite, append])
@pytest.mark.parametrize("body", [NEW, NEW[:400], NEW * 2], ids=["same size", "smaller", "larger"])
def test_a_file_that_changes_between_two_ranges(
    tmp_path: pathlib.Path, small_ranges: None, change: Callable[[pathlib.Path, bytes], None], body: bytes
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(OLD)
    first, *rest = ranges_of(str(path), len(OLD), LOCAL)
    assert all_lines([first])
    change(path, body)
    for part in rest:
        with pytest.raises(ConfigurationError, match=CHANGED):
            all_lines([part])


@pytest.mark.parametrize("change", [overwrite, append])
@pytest.mark.parametrize("size", [10_000, 150])
@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_a_file_that_changes_while_one_range_is_read(
    tmp_path: pathlib.Path, small_ranges: None, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None], size: int, name: str
) -> None:  # fmt: skip
    monkeypatch.setattr(readers, "_SPLIT_BYTES", size)
    path = tmp_path / name
    path.write_bytes(OLD if name == "in.jsonl" else gzip.compress(os.urandom(100) + b"\n" + OLD * 9))
    batches = batches_of(next(ranges_of(str(path), path.stat().st_size, LOCAL)), LOCAL)
    next(batches)
    change(path, NEW)
    with pytest.raises(ConfigurationError, match=r"in\.jsonl.* has changed since it was found"):
        list(batches)


def test_a_small_file_that_is_replaced_is_read_whole_in_one_version(tmp_path: pathlib.Path) -> None:
    """Also one that grew after it was found: nothing ends where the other file ended."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(OLD[:50])
    (part,) = ranges_of(str(path), 50, LOCAL)
    replace(path, NEW)
    batches = batches_of(part, LOCAL)
    replace(path, OLD)
    assert [line for batch in batches for line in batch.lines] == OLD.splitlines()


def test_a_range_that_ends_too_soon_is_no_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(OLD)
    with pytest.raises(ConfigurationError, match=r"in\.jsonl' ends at byte 890, before 900"):
        all_lines([FileRange(str(path), 0, 900, kind="jsonl")])


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "avro"])
@pytest.mark.parametrize("change", [replace, overwrite, append])
def test_a_file_that_changes_after_it_was_listed(
    tmp_path: pathlib.Path, kind: str, change: Callable[[pathlib.Path, bytes], None]
) -> None:
    path = tmp_path / f"in.{kind}"
    path.write_bytes(BODIES[kind]())
    [found] = find_input([str(path)], NO_OPTIONS)
    [part] = readers.ranges_of(found, ROWS)
    assert lines_of(part, ROWS) == [b'{"i":1}', b'{"i":2}']
    change(path, path.read_bytes())
    for step in (lambda: list(readers.ranges_of(found._replace(size=10**8), ROWS)), lambda: list(readers.read_part(part, ROWS))):  # fmt: skip
        with pytest.raises(ConfigurationError, match=rf"in\.{kind}' has changed since it was found"):
            step()


def read_and_overwrite(path: pathlib.Path) -> None:
    with opened(str(path), NO_OPTIONS) as file:
        assert file.read(2) == b"a\n"
        overwrite(path, b"b\n2\n")
        raise ConfigurationError("input='in.csv' is not valid CSV")


def test_csv_that_changes_and_csv_without_lines(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a\n1\n")
    with pytest.raises(ConfigurationError, match=r"in\.csv' has changed"):
        read_and_overwrite(path)
    path.write_text("a,b\n" + "x" * (17 << 20))
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    assert pipeline | ReadRecords([str(path)])
    with pytest.raises(Exception, match=r"in\.csv' is not valid CSV .*a line of more than 16777216 characters"):
        pipeline.run()


# ---------------------------------------------------------------- on S3


@pytest.fixture
def proxy(s3_server: Server) -> Iterator[Proxy]:
    with s3_proxy(s3_server.endpoint_url) as running:
        yield running


@pytest.fixture
def through(proxy: Proxy, s3_server: Server) -> Iterator[PipelineOptions]:
    """Options that lead Beam's files and ours through the proxy."""
    admin = s3_server.admin
    options = PipelineOptions(
        [
            "--runner=FnApiRunner",
            f"--s3_endpoint_url={proxy.endpoint_url}",
            "--s3_region_name=us-east-1",
            f"--s3_access_key_id={admin.access_key}",
            f"--s3_secret_access_key={admin.secret_key}",
        ]
    )
    before = FileSystems._pipeline_options
    FileSystems.set_options(options)
    yield options
    FileSystems.set_options(before)


def put(server: Server, key: str, body: bytes) -> str:
    server.client().put_object(Bucket=server.bucket, Key=key, Body=body)
    return f"s3://{server.bucket}/{key}"


@pytest.mark.parametrize(
    "body", [NEW, NEW[:400], NEW * 2, OLD[:-1] + b" "], ids=["same size", "smaller", "larger", "end"]
)
def test_an_object_that_is_replaced_while_it_is_read(
    s3_server: Server, proxy: Proxy, through: PipelineOptions, small_ranges: None, body: bytes
) -> None:
    path = put(s3_server, "replaced/in.jsonl", OLD)
    replaced: list[str] = []

    def replace_at_the_third_read(request: Request) -> Fault | None:
        if request.operation == "GetObject" and request.number == 2 and not replaced:
            replaced.append(put(s3_server, "replaced/in.jsonl", body))
        return None

    proxy.rule = replace_at_the_third_read
    pipeline = beam.Pipeline(options=through)
    assert pipeline | ReadRecords([path])
    with pytest.raises(Exception, match=CHANGED):
        pipeline.run()
    assert replaced


@pytest.mark.parametrize("kind", BODIES)
def test_an_object_that_is_replaced_after_it_was_listed(
    s3_server: Server, proxy: Proxy, through: PipelineOptions, kind: str
) -> None:
    path = put(s3_server, f"listed/{kind}", BODIES[kind]())
    reading = ROWS._replace(access=s3_access_of(through))
    if kind == "csv":
        reading = reading._replace(input_format="csv")
    [found] = find_input([path], reading.access)
    [part] = readers.ranges_of(found, reading)
    assert lines_of(part, reading) == [b'{"i":1}', b'{"i":2}']
    put(s3_server, f"listed/{kind}", BODIES[kind]()[:-1] + b" ")
    with pytest.raises(ConfigurationError, match=rf"listed/{kind}' has changed since it was found"):
        list(readers.read_part(part, reading))


def test_what_is_found_on_s3(s3_server: Server, through: PipelineOptions) -> None:
    access = s3_access_of(through)
    bucket = f"s3://{s3_server.bucket}/found"
    for name in ("a.jsonl", "[1].jsonl", "1.jsonl", "x/b.jsonl", "x/_SUCCESS", "x/dt=1/c +%20#?.jsonl"):
        put(s3_server, f"found/{name}", b"{}\n")
    put(s3_server, "found/x/", b"")
    skipped: list[str] = []

    def found(pattern: str) -> list[str]:
        files = find_input([f"{bucket}/{pattern}", f"{bucket}/{pattern}"], access, skipped=skipped.append)
        return [file.path.removeprefix(f"{bucket}/") for file in files]

    assert found("*.jsonl") == ["1.jsonl", "[1].jsonl", "a.jsonl"]
    assert found("[1].jsonl") == ["[1].jsonl"]
    assert found("x/**") == ["x/b.jsonl", "x/dt=1/c +%20#?.jsonl"]
    assert f"{bucket}/x/_SUCCESS" in skipped
    assert found("x/_SUCCESS") == ["x/_SUCCESS"]
    for folder in ("x", "x/dt=1/"):
        with pytest.raises(ConfigurationError, match=r"is a folder: did you mean 's3://.*/\*'"):
            found(folder.rstrip("/"))
    with pytest.raises(ConfigurationError, match="matches no file"):
        found("none*")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_an_object_with_a_content_encoding_is_unpacked_once(
    s3_server: Server, through: PipelineOptions, encoding: str
) -> None:
    body, key = gzip.compress(OLD) if encoding == "gzip" else zstd.compress(OLD), f"encoded/{encoding}.jsonl"
    s3_server.client().put_object(Bucket=s3_server.bucket, Key=key, Body=body, ContentEncoding=encoding)
    reading = Reading(s3_access_of(through))
    [found] = find_input([f"s3://{s3_server.bucket}/{key}"], reading.access)
    assert all_lines(readers.ranges_of(found, reading), reading=reading) == OLD.splitlines()


def test_a_small_object_is_one_request_and_a_large_one_is_of_one_version(
    s3_server: Server, proxy: Proxy, through: PipelineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, access = put(s3_server, "one/in.jsonl", OLD), s3_access_of(through)
    assert all_lines(ranges_of(path, len(OLD), Reading(access)), reading=Reading(access)) == OLD.splitlines()
    assert [request.operation for request in proxy.requests] == ["GetObject"]
    monkeypatch.setattr(readers, "_SPLIT_BYTES", 400)
    assert all_lines(ranges_of(path, len(OLD), Reading(access)), reading=Reading(access)) == OLD.splitlines()
    put(s3_server, "one/in.jsonl.gz", packed := gzip.compress(OLD))
    assert all_lines(ranges_of(f"{path}.gz", len(packed), Reading(access)), reading=Reading(access)) == OLD.splitlines()
    assert all_lines(ranges_of(path, 0, Reading(access)), reading=Reading(access)) == []
    assert find_version(path, 0, access).size == len(OLD)


def test_reads_that_fail_for_the_moment_are_tried_again(
    s3_server: Server, proxy: Proxy, through: PipelineOptions
) -> None:
    path, access = put(s3_server, "again/in.jsonl", OLD), s3_access_of(through)
    proxy.rule = lambda request: Fault(503, "SlowDown") if request.number == 0 else None
    assert all_lines(ranges_of(path, len(OLD), Reading(access)), reading=Reading(access)) == OLD.splitlines()


def test_many_small_objects_through_a_pipeline_share_a_client(
    s3_server: Server, proxy: Proxy, through: PipelineOptions
) -> None:
    for number in range(20):
        put(s3_server, f"many/{number}.jsonl", b'{"i":%d}\n' % number)
    pipeline = beam.Pipeline(options=through)
    batches = pipeline | ReadRecords([f"s3://{s3_server.bucket}/many/*.jsonl"])
    lines = batches | beam.FlatMap(operator.attrgetter("lines"))
    assert_that(lines, equal_to([b'{"i":%d}' % i for i in range(20)]))
    pipeline.run()
    reads = [request.operation for request in proxy.requests if request.operation.startswith(("Get", "Head"))]
    assert reads == ["GetObject"] * 20
