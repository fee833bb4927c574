"""The files that a COPY reads, and the errors of those that it can't read."""

from __future__ import annotations

import bz2
import gzip
import json
from typing import Any

import pytest
import zstandard

from redshift_stand_in import ROLE

_ONE = gzip.compress(b'{"a": 1}')
_MISSING = "Mandatory url is not present in manifest file."


def copy(url: str, options: str = "MANIFEST GZIP FORMAT AS JSON 'auto'") -> str:
    return f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' {options}"


@pytest.fixture
def t(table: Any) -> Any:
    return table.create("a integer")


def count(t: Any) -> int:
    found: int = t.run("SELECT count(*) FROM t")[0][0]
    return found


def test_a_file_that_is_listed_twice_is_loaded_twice(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3: if a file is listed twice, the file is loaded twice."""
    url = files.put("1.gz", _ONE)
    t.run(copy(files.manifest(url, files.put("2.gz", _ONE), url)))
    assert count(t) == 3


def test_a_missing_file(t: Any, files: Any) -> None:
    """dg:loading-data-files-using-manifest: mandatory ends the COPY, otherwise it goes on; the default is false."""
    there = files.put("1.gz", _ONE)
    gone = files.url("gone.gz")
    failed = t.refused(copy(files.manifest(there, gone)))
    assert failed["M"] == _MISSING
    assert "code:      8001" in failed["D"]
    assert count(t) == 0
    t.run(copy(files.manifest(there, {"url": gone}, {"url": gone, "mandatory": False})))
    assert count(t) == 1


def test_no_file_at_all(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3: COPY terminates if no files are found, whatever mandatory says."""
    assert t.refused(copy(files.manifest({"url": files.url("gone.gz"), "mandatory": False})))["C"] == "XX000"
    assert t.refused(copy(files.manifest()))["C"] == "XX000"


def test_a_key_and_not_a_prefix(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3: an entry is the whole path of an object."""
    files.put("part-1.gz", _ONE)
    assert t.refused(copy(files.manifest(files.url("part-"))))["M"] == _MISSING


def test_meta_and_other_keys_are_no_harm(t: Any, files: Any) -> None:
    """dg:loading-data-files-using-manifest: a manifest of UNLOAD can be used as it is."""
    entry = {"url": files.put("1.gz", _ONE), "mandatory": True, "meta": {"content_length": 7, "record_count": 9}}
    body = {"entries": [entry], "meta": {"record_count": 9}, "schema": {}, "author": {"name": "x"}}
    t.run(copy(files.put("m", json.dumps(body).encode())))
    assert count(t) == 1


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"entries": []}'),
        '{"entries": [{"url": "s3://b/ä"}]}'.encode("latin-1"),
        "{“entries”: []}".encode(),
        b"[]",
        b'{"files": []}',
        b'{"entries": ["s3://b/k"]}',
        b'{"entries": [{"url": "https://b/k"}]}',
        b'{"entries": [{"url": "s3://b/k", "mandatory": "yes"}]}',
    ],
)
def test_a_manifest_is_plain_json(t: Any, files: Any, body: bytes) -> None:
    """dg:copy-parameters-data-source-s3, dg:copy-parameters-data-conversion: not compressed, UTF-8, straight quotes."""
    assert t.refused(copy(files.put("m", body)))["M"].startswith("Manifest file is not in correct json format")


def test_a_manifest_that_is_not_there(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3: COPY ends with an error."""
    message = t.refused(copy(files.url("gone.manifest")))["M"]
    assert message.startswith(
        "Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404"
    )


def test_without_the_word_a_manifest_is_data(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3: without MANIFEST the file is parsed as data."""
    url = files.manifest(files.put("1.gz", _ONE))
    t.run(copy(url, "FORMAT AS JSON 'auto'"))
    assert t.run("SELECT * FROM t") == [(None,)]


def test_a_prefix_without_a_manifest(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3: all objects whose key has this prefix."""
    files.put("part-1.gz", _ONE)
    files.put("part-2.gz", _ONE)
    files.put("other.gz", _ONE)
    t.run(copy(files.url("part-"), "GZIP FORMAT AS JSON 'auto'"))
    assert count(t) == 2
    assert "does not exist" in t.refused(copy(files.url("none-"), "GZIP FORMAT AS JSON 'auto'"))["M"]


def test_only_the_first_gzip_member_is_read(t: Any, files: Any) -> None:
    """Not documented: some readers stop there, so nothing may depend on it."""
    t.run(copy(files.manifest(files.put("1.gz", _ONE + _ONE))))
    assert count(t) == 1


@pytest.mark.parametrize("body", [b'{"a": 1}', _ONE[:-9], _ONE[:-8] + b"\0\0\0\0" + _ONE[-4:]])
def test_files_that_are_no_gzip(t: Any, files: Any, body: bytes) -> None:
    """dg:copy-parameters-file-compression: the word is for all files."""
    assert "is not a GZIP file" in t.refused(copy(files.manifest(files.put("1.gz", body))))["M"]


@pytest.mark.parametrize(
    ("word", "body"),
    [
        ("BZIP2", bz2.compress(b'{"a": 1}')),
        ("ZSTD", zstandard.ZstdCompressor().compress(b'{"a": 1}')),
        ("", b'{"a": 1}'),
    ],
)
def test_other_compressions(t: Any, files: Any, word: str, body: bytes) -> None:
    """dg:copy-parameters-file-compression."""
    t.run(copy(files.manifest(files.put("1", body)), f"MANIFEST {word} FORMAT AS JSON 'auto'"))
    assert count(t) == 1


def test_all_files_or_none(t: Any, files: Any) -> None:
    """dg:copy-usage_notes-multiple-files: COPY is atomic over its files."""
    good, bad = files.put("1.gz", _ONE), files.put("2.gz", gzip.compress(b'{"a": "x"}'))
    t.refused(copy(files.manifest(good, bad)))
    assert count(t) == 0
    name = t.run("SELECT trim(filename) FROM stl_load_errors")
    assert name == [(bad,)]


def test_the_region(t: Any, files: Any) -> None:
    """dg:copy-parameters-data-source-s3, REGION: where all the objects are."""
    url = files.manifest(files.put("1.gz", _ONE))
    assert "PermanentRedirect" in t.refused(copy(url, "MANIFEST GZIP JSON 'auto' REGION 'eu-west-1'"))["M"]
    t.run(copy(url, "MANIFEST GZIP JSON 'auto' REGION AS 'us-east-1'"))
    assert count(t) == 1
