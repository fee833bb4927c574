"""Manifests are read again when they are loaded."""

from __future__ import annotations

import hashlib
import json

import pytest

from beam_s3box.errors import ConfigurationError, LoadError, ObjectNotFoundError
from beam_s3box.layout import Layout
from beam_s3box.manifests import plan_manifests
from beam_s3box.publish import write_manifest
from beam_s3box.redshift.sources import StoreReader, parse_manifest, read_manifests
from beam_s3box.runs import new_token
from beam_s3box.shards import ShardFile
from beam_s3box.stores import LocalStore, MemoryStore
from beam_s3box.streams import Stream
from tests.redshift.load.fakes import FILE, OTHER, URL, manifest_text


def test_a_manifest_of_ours_is_read_from_its_store() -> None:
    store = MemoryStore(new_token(12))
    stream = Stream("web", "clicks")
    files = [ShardFile("web", "clicks", "", f"s3://bucket/{name}", name, 7, 70, 7, "", "records") for name in "ab"]
    manifest = write_manifest(store, Layout("run"), plan_manifests(stream, "", 0, files, 1)[0])
    for given in (manifest, manifest.url):
        (listed,) = read_manifests([given], StoreReader())
        assert listed.url == manifest.url
        assert listed.records == 14
        assert listed.files == ("s3://bucket/a", "s3://bucket/b")
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


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not json", "its text is not JSON"),
        (b"[]", 'has no "entries"'),
        (b'{"entries": [{"uri": "s3://b/x"}]}', 'has no "entries" with a "url" each'),
        (b'{"entries": [{"url": "s3://b/x"}]}', "does not say how many records"),
        (b'{"entries": [{"url": "s3://b/x", "meta": {"record_count": true}}]}', "does not say how many records"),
        (manifest_text(FILE, FILE), "lists s3://bucket/data/web/clicks/a.json.gz more than once"),
    ],
)
def test_what_copy_would_not_load_once_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        parse_manifest(URL, body)


def test_only_manifests_are_taken() -> None:
    with pytest.raises(ConfigurationError, match="manifest=7 must be a Manifest or the URL of one"):
        read_manifests([7], lambda url: b"")  # type: ignore[list-item]
