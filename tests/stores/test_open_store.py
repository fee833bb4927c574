"""From a destination to its store, without importing what it does not need."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.stores import LocalStore, MemoryStore, S3Store, Store, open_store


@pytest.mark.parametrize(
    ("destination", "kind", "root"),
    [
        ("s3://bucket", S3Store, "s3://bucket"),
        ("s3://bucket/", S3Store, "s3://bucket"),
        ("s3://my.bucket-1//a/b c/", S3Store, "s3://my.bucket-1/a/b c"),
        ("S3://bucket/a", S3Store, "s3://bucket/a"),
        ("file:///tmp/a%20b", LocalStore, "file:///tmp/a%20b"),
        ("/tmp/x", LocalStore, "file:///tmp/x"),
        (pathlib.Path("/tmp/x:y"), LocalStore, "file:///tmp/x:y"),
        ("memory://name/", MemoryStore, "memory://name"),
    ],
)
def test_opens(destination: str, kind: type[Store], root: str) -> None:
    store = open_store(destination)
    assert type(store) is kind
    assert store.root == root
    assert open_store(root).root == root


def test_returns_a_store_as_it_is() -> None:
    store: Store = MemoryStore("mine")
    assert open_store(store) is store


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("gs://bucket/x", r"destination='gs://bucket/x' has an unknown scheme: write s3://bucket/prefix,"),
        ("", "destination='' must be"),
        ("s3:bucket", "destination='s3:bucket' must be s3://"),
        ("file://host/x", "three slashes and no host"),
        ("memory://", "needs a name"),
        (7, r"destination=7 must be text, a path or a store; it has no method url\(\)"),
        ("s3://", "has the bucket ''"),
        ("s3://Bucket/x", "has the bucket 'Bucket'"),
        ("s3://a_b/x", "has the bucket 'a_b'"),
        ("s3://a..b/x", "has the bucket 'a..b'"),
        ("s3://ab", "has the bucket 'ab'"),
        ("s3://bucket/a/../b", "key='a/../b' must be"),
        ("s3://bucket/a//b", "destination='s3://bucket/a//b' has a prefix that no key can have: key='a//b' must be"),
    ],
)
def test_refuses(destination: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_store(destination)


def test_importing_the_stores_imports_no_client_and_no_beam() -> None:
    code = (
        "import sys, beam_s3box.stores as s; s.open_store('s3://bucket/x'); "
        "print({'boto3', 'botocore', 'apache_beam'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_a_store_of_ones_own_says_what_it_promises() -> None:
    class Own(MemoryStore):
        conditional_create = None  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="must have the property conditional_create, which is True or False"):
        open_store(Own("own"))  # type: ignore[arg-type]
