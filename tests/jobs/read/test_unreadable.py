"""Objects that an event named and that can't be read: dead letters that say which and why; all others are read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from beam_s3box.errors import StoreError
from beam_s3box.jobs.options.windows import MICROS, Timing, WindowSpec
from beam_s3box.jobs.read import files as readers
from beam_s3box.jobs.read.counts import READ
from beam_s3box.jobs.read.files import FileRange, Reading
from beam_s3box.jobs.read.input_files import S3Access, s3_access_of
from beam_s3box.jobs.read.queue.look import RejectedMessage
from beam_s3box.jobs.read.queue.receive import ReceivedObjects
from beam_s3box.jobs.read.stream import ReadStream
from beam_s3box.jobs.read.unreadable import read_or_reject
from beam_s3box.jobs.read.watch import FoundFile
from beam_s3box.jobs.stream import PARSER
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import NOT_AN_EVENT, OBJECT_GONE, OBJECT_REPLACED, UNREADABLE_FILE
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.s3_settings import Credentials, S3Settings
from tests.s3_proxy import Fault, s3_proxy
from tools.seaweedfs import REGION, Server

ARRIVED = 1_700_000_000 * MICROS
LINES = b"".join(b'{"i":%d}\n' % i for i in range(40))


def options(server: Server) -> list[str]:
    return [
        f"--s3_endpoint_url={server.endpoint_url}",
        f"--s3_region_name={REGION}",
        f"--s3_access_key_id={server.writer.access_key}",
        f"--s3_secret_access_key={server.writer.secret_key}",
    ]


@pytest.fixture
def access(s3_server: Server) -> S3Access:
    return s3_access_of(PARSER.parse(options(s3_server)))


def put(server: Server, name: str, body: bytes) -> tuple[str, str]:
    """Put an object; return its URL and ETag."""
    key = f"unreadable-{new_token(8)}/{name}"
    etag = server.client().put_object(Bucket=server.bucket, Key=key, Body=body)["ETag"]
    return f"s3://{server.bucket}/{key}", etag


def change(server: Server, url: str, body: bytes | None) -> None:
    key = url.removeprefix(f"s3://{server.bucket}/")
    if body is None:
        server.client().delete_object(Bucket=server.bucket, Key=key)
    else:
        server.client().put_object(Bucket=server.bucket, Key=key, Body=body)


@pytest.mark.parametrize(
    ("name", "body", "then", "reason", "part"),
    [
        ("a.jsonl", LINES, None, OBJECT_GONE, "there is no such object"),
        ("a.jsonl", LINES, b'{"i":1}\n', OBJECT_REPLACED, "has changed since it was found"),
        ("a.jsonl.gz", gzip.compress(LINES)[:-9], b"", UNREADABLE_FILE, "ends in the middle of its gzip data"),
        ("a.parquet", b"PAR1 and no more", b"", UNREADABLE_FILE, "does not end as a Parquet file does"),
    ],
)
def test_one_that_can_not_be_read_is_a_dead_letter(
    s3_server: Server, access: S3Access, name: str, body: bytes, then: bytes | None, reason: str, part: str
) -> None:
    url, etag = put(s3_server, name, body)
    if reason != UNREADABLE_FILE:
        change(s3_server, url, then)
    found = list(read_or_reject(FileRange(url, 0, -1, etag, len(body)), Reading(access)))
    row = found[-1]
    assert isinstance(row, RejectedRow)
    assert (row.reason, row.source, row.raw) == (reason, url, f"{url} {etag}".encode())
    assert part in row.detail


def test_one_that_is_archived_is_a_dead_letter(s3_server: Server) -> None:
    url, etag = put(s3_server, "a.jsonl", LINES)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        proxy.rule = lambda request: Fault(403, "InvalidObjectState") if request.operation == "GetObject" else None
        access = s3_access_of(PARSER.parse([f"--s3_endpoint_url={proxy.endpoint_url}", *options(s3_server)[1:]]))
        [row] = read_or_reject(FileRange(url, 0, -1, etag, len(LINES)), Reading(access))
    assert isinstance(row, RejectedRow)
    assert (row.reason, row.source) == (UNREADABLE_FILE, url)
    assert "restore it first" in row.detail


def test_one_that_is_replaced_while_it_is_read_says_how_far(
    s3_server: Server, access: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_READ_BYTES", 100)
    monkeypatch.setattr(readers, "_READS_A_REQUEST", 1)
    monkeypatch.setattr(readers, "_BATCH_BYTES", 50)
    url, etag = put(s3_server, "a.jsonl", LINES)
    steps = read_or_reject(FileRange(url, 0, len(LINES), etag, len(LINES), "jsonl"), Reading(access))
    first = next(steps)
    assert isinstance(first, LineBatch)
    change(s3_server, url, LINES.replace(b"i", b"j"))
    *more, row = list(steps)
    assert isinstance(row, RejectedRow)
    read = [line for batch in [first, *more] if isinstance(batch, LineBatch) for line in batch.lines]
    assert read == LINES.splitlines()[: len(read)]
    assert (row.reason, row.line) == (OBJECT_REPLACED, len(read) + 1)
    assert f"of its records those up to line {len(read)} were read" in row.detail


def test_what_the_object_is_not_to_blame_for_fails(s3_server: Server) -> None:
    url, etag = put(s3_server, "a.jsonl", LINES)
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    part = FileRange(url, 0, -1, etag, len(LINES))

    def wrong() -> Credentials:
        return Credentials(s3_server.writer.access_key, "wrong")

    with pytest.raises(StoreError, match="SignatureDoesNotMatch"):
        list(read_or_reject(part, Reading(S3Access(settings, wrong))))


def test_objects_of_all_kinds_and_messages_that_are_no_events_in_their_windows(s3_server: Server) -> None:
    bodies = {
        "a.jsonl": b'{"i":1}\n{"i":2}\n',
        "b.csv": b"i,t\n3,x\n",
        "c.json.gz": gzip.compress(json.dumps([{"i": 4}], indent=1).encode()),
        "gone.jsonl": b"{}\n",
        "unsaid.jsonl": b'{"i":5}\n',
    }
    files: list[FoundFile] = []
    for name, body in bodies.items():
        url, etag = put(s3_server, name, body)
        is_said = name != "unsaid.jsonl"
        files.append((url, len(body) if is_said else -1, ARRIVED, etag if is_said else ""))
        if name == "gone.jsonl":
            change(s3_server, url, None)
    message = RejectedRow(NOT_AN_EVENT, "is no event", "https://queue", 1, b"hello")
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *options(s3_server)]))
    received = ReceivedObjects(
        pipeline | "Files" >> beam.Create(files, reshuffle=False).with_output_types(FoundFile),
        pipeline | "Messages" >> beam.Create([(message, ARRIVED)]).with_output_types(RejectedMessage),
    )
    timing = Timing(WindowSpec(10, 10), None, 0, 0, None)
    stream = received | ReadStream(timing, keeps_unreadable=True)
    start = ARRIVED // (10 * MICROS) * 10
    rows = [*((start, i) for i in range(1, 6)), (start, OBJECT_GONE), (start, NOT_AN_EVENT)]
    assert_that(stream.lines | beam.ParDo(Shown()), equal_to(rows), label="rows")
    assert_that(stream.counts | beam.CombinePerKey(sum), equal_to([(READ, 7)]), label="counts")
    pipeline.run().wait_until_finish()


class Shown(beam.DoFn):
    def process(self, row: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[tuple[int, Any]]:
        start = window.start.seconds()
        if isinstance(row, RejectedRow):
            yield start, row.reason
        else:
            yield from ((start, int(json.loads(line)["i"])) for line in row.lines)
