"""Manifests are read when they are loaded."""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
import sys

import pytest

from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import write_manifest
from beam_s3box.errors import ConfigurationError, LoadError, ObjectNotFoundError
from beam_s3box.records.streams import Stream
from beam_s3box.redshift.manifests import StoreReader, parse_manifest, read_manifests
from beam_s3box.redshift.schema.infer import infer_columns
from beam_s3box.redshift.sql.target import Target
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore, MemoryStore
from tests.redshift.load.fakes import FILE, OTHER, URL, manifest_text, table_loads

ROOT = pathlib.Path(__file__).parents[2]
MANIFEST = Manifest("web", "clicks", "", 0, URL, "", 1, 10, 0, 0)


def test_a_manifest_of_ours_is_read_from_its_store() -> None:
    store = MemoryStore(new_token(12))
    stream = Stream("web", "clicks")
    files = [ShardFile("web", "clicks", "", store.url(name), name, 7, 70, 7, "", "records") for name in "ab"]
    manifest = write_manifest(store, Layout("run"), plan_manifests(stream, "", 0, files, 1)[0])
    for given in (manifest, manifest.url):
        (listed,) = read_manifests([given], StoreReader())
        assert listed.url == manifest.url
        assert listed.records == 14
        assert listed.files == (store.url("a"), store.url("b"))
        assert listed.sha256 == hashlib.sha256(store.get(manifest.key)).hexdigest()


def test_a_manifest_in_a_folder_is_read(tmp_path: object) -> None:
    body = manifest_text(FILE)
    LocalStore(str(tmp_path)).put("x.manifest", body, sha256=hashlib.sha256(body).hexdigest(), content_type="")
    assert StoreReader()(f"file://{tmp_path}/x.manifest") == body


def test_what_is_missing_is_an_error() -> None:
    with pytest.raises(ObjectNotFoundError):
        StoreReader()(f"memory://{new_token(12)}/x.manifest")
    with pytest.raises(ConfigurationError, match="must be the URL of a manifest"):
        StoreReader()("x.manifest")


AT_EXIT = """
import atexit
from beam_s3box.formats import AvroFormat
from beam_s3box.redshift.manifests import read_manifests
from beam_s3box.redshift.schema.infer import columns_of_shards
from beam_s3box.redshift.schema.manifest_columns import columns_of_manifests
from beam_s3box.records.streams import Stream
from tests.redshift.load.fakes import manifest_text

schema = {"type": "record", "name": "R", "fields": [{"name": "i", "type": "int"}]}
format = AvroFormat(schema, for_redshift=True)
shard = format.join((format.cut([format.encoder(Stream("d", "n"))(b'{"i":1}')]),))
texts = {"m": manifest_text("a.avro"), "a.avro": shard, "a.json": b'{"i":1}'}

def work():
    listed = read_manifests(["m"], texts.__getitem__)
    names = [columns_of_shards(["a.json"], texts.__getitem__), columns_of_manifests(listed, texts.__getitem__)]
    print([column.name for columns in names for column in columns], flush=True)

atexit.register(work)
"""


def test_manifests_and_shards_are_read_when_the_process_ends() -> None:
    """`concurrent.futures` accepts no tasks at that time."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['i', 'i']\n", "")


def test_manifests_come_by_url_each_once_without_empty_ones() -> None:
    texts = {URL: manifest_text(FILE), OTHER: manifest_text(FILE + "2"), "s3://bucket/0": b'{"entries":[]}'}
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return texts[url]

    listed = read_manifests([OTHER, URL, "s3://bucket/0", OTHER], fetch)
    assert [manifest.url for manifest in listed] == [URL, OTHER]
    assert sorted(asked) == sorted(texts)
    assert read_manifests([], fetch) == []


def test_the_text_counts_more_than_the_row_that_was_written_before_it() -> None:
    class Row:
        url, records = URL, 99

    (listed,) = read_manifests([Row()], lambda url: manifest_text(FILE))  # type: ignore[list-item]
    assert listed.records == 10
    plain = json.dumps({"entries": [{"url": FILE}]}).encode()
    (listed,) = read_manifests([Row()], lambda url: plain)  # type: ignore[list-item]
    assert listed.records == 99


def listing(*entries: object) -> bytes:
    return json.dumps({"entries": entries}).encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not json", "its text is not JSON"),
        (b"[]", 'has no "entries"'),
        (b'{"entries": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "its text is not JSON"),
        (listing({"uri": "s3://b/x"}), 'has no "entries" with a "url" each'),
        (listing({"url": "s3://b/x"}), "has no counts of records"),
        (listing({"url": "s3://b/x", "meta": None}), "has no counts of records"),
        (listing({"url": "s3://b/x", "meta": "x"}), "\"meta\": 'x' for 's3://b/x': it must be an object"),
        (listing({"url": "s3://b/x", "meta": [1]}), "it must be an object"),
        *(
            (listing({"url": "s3://b/x", "meta": {"record_count": count}}), "a whole number of at least 0")
            for count in (True, None, -1, 1.5, "7", [1])
        ),
        (listing({"url": "s3://b/x", "meta": {"record_count": 2**63}}), "more than a table can have"),
        (
            listing(*({"url": f"s3://b/{n}", "meta": {"record_count": 2**62}} for n in range(2))),
            "more than a table can have",
        ),
        *(
            (listing({"url": url, "meta": {"record_count": 1}}), "a manifest may list s3:// URLs only")
            for url in ("file:///etc/passwd", "http://169.254.169.254/x", "S3://b/x", "b/x", "s3://b", "/etc/passwd", "")
        ),
        *((listing({"url": url, "meta": {"record_count": 1}}), "not the URL of a file") for url in (5, None, ["s3://b/x"])),
        (listing({"url": "s3:///x", "meta": {"record_count": 1}}), "names no bucket"),
        (manifest_text(FILE, FILE), "lists 's3://bucket/data/web/clicks/a.json.gz' more than once"),
        (manifest_text("s3://b/\x1b]0;x\x07\n", "s3://b/\x1b]0;x\x07\n"), "more than once"),
        (listing({"url": "s3://b/x", "meta": ["y" * 10_000]}), "yyy…"),
    ],
)  # fmt: skip
def test_what_copy_would_not_load_once_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(LoadError, match=message) as caught:
        parse_manifest(URL, body)
    assert str(caught.value).isprintable()


def test_counts_of_zero_are_counts() -> None:
    assert parse_manifest(URL, listing({"url": "s3://b/x", "meta": {"record_count": 0}})).records == 0


def test_no_column_is_found_in_a_file_that_a_manifest_on_s3_must_not_list(tmp_path: pathlib.Path) -> None:
    """Creating a table reads the shards of a manifest: a local file would expose its keys and its content."""
    secret = tmp_path / "secret.json"
    secret.write_text('{"aws_secret_of_the_host": "x"}')
    body = listing({"url": f"file://{secret}", "meta": {"record_count": 1}})

    def fetch(url: str) -> bytes:
        return body if url == URL else StoreReader()(url)

    loads = table_loads(fetch=fetch, creates=True)
    for work in (
        lambda: infer_columns(URL, fetch=fetch),
        lambda: loads.load([URL], Target("public", "t")),
        lambda: loads.sql([URL], Target("public", "t")),
    ):
        with pytest.raises(LoadError, match="may list s3:// URLs only"):
            work()


def test_only_manifests_are_taken() -> None:
    with pytest.raises(ConfigurationError, match="manifest=7 must be a Manifest or the URL of one"):
        read_manifests([7], lambda url: b"")  # type: ignore[list-item]
    for records in (-1, True, "7", None):
        with pytest.raises(ConfigurationError, match="must be a Manifest or the URL of one"):
            read_manifests([MANIFEST._replace(records=records)], lambda url: b"")  # type: ignore[arg-type]
