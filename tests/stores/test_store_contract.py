"""What every store must do, whatever it keeps its objects in."""

from __future__ import annotations

import hashlib
import itertools
import pathlib
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from beam_s3box.errors import ConfigurationError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from beam_s3box.stores import LocalStore, MemoryStore, S3Settings, S3Store, Store
from beam_s3box.stores.folders import list_folder
from beam_s3box.testing import FailingStore
from tools.seaweedfs import REGION, Server

_NAMES = itertools.count()


@pytest.fixture(params=["s3", "local", "memory", "failing"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "not there yet" / "ä")
    if request.param == "memory":
        return MemoryStore(f"contract-{next(_NAMES)}")
    if request.param == "failing":
        # that does not, yet
        return FailingStore(MemoryStore(f"contract-{next(_NAMES)}"), fail=0)
    server: Server = request.getfixturevalue("s3_server")
    settings = S3Settings(REGION, server.endpoint_url)
    return S3Store(f"s3://{server.bucket}/contract/{next(_NAMES)}", settings, server.admin)


def put(store: Store, key: str, body: bytes = b"body", replace: bool = False, if_match: str | None = None) -> int:
    sha256 = hashlib.sha256(body).hexdigest()
    return store.put(key, body, sha256=sha256, content_type="application/gzip", replace=replace, if_match=if_match)


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 300_000])
def test_get_returns_what_put_wrote(store: Store, body: bytes) -> None:
    assert put(store, "a/b.gz", body) == 1
    assert store.get("a/b.gz") == body


def test_put_never_overwrites(store: Store) -> None:
    put(store, "k", b"first")
    with pytest.raises(ObjectExistsError, match="k"):
        put(store, "k", b"second")
    with pytest.raises(ObjectExistsError):
        put(store, "k", b"first")
    assert store.get("k") == b"first"


def test_put_replaces_when_asked(store: Store) -> None:
    put(store, "k", b"first", replace=True)
    put(store, "k", b"second", replace=True)
    assert store.get("k") == b"second"
    assert [info.key for info in store.list()] == ["k"]


def test_of_many_creators_one_wins(store: Store) -> None:
    bodies = [bytes([number]) * 1000 for number in range(12)]

    def create(body: bytes) -> bytes | None:
        try:
            put(store, "contested", body)
        except ObjectExistsError:
            return None
        return body

    with ThreadPoolExecutor(len(bodies)) as pool:
        winners = [body for body in pool.map(create, bodies) if body is not None]
    assert winners == [store.get("contested")]
    assert [info.key for info in store.list()] == ["contested"]


def test_stat_tells_size_checksum_and_time(store: Store) -> None:
    put(store, "k", b"body")
    info = store.stat("k")
    assert (info.key, info.size, info.sha256) == ("k", 4, hashlib.sha256(b"body").hexdigest())
    assert abs(info.modified - time.time()) < 60


def test_read_tells_the_bytes_and_whose_they_are(store: Store) -> None:
    put(store, "k", b"body")
    body, info = store.read("k")
    assert (body, info.sha256) == (b"body", hashlib.sha256(b"body").hexdigest())
    assert info == store.stat("k")
    (listed,) = store.list()
    assert (listed.etag, listed.size, int(listed.modified)) == (info.etag, 4, int(info.modified))
    with pytest.raises(ObjectNotFoundError, match="missing"):
        store.read("missing")


def test_if_match_replaces_the_object_that_was_seen(store: Store) -> None:
    put(store, "k", b"first")
    seen = store.stat("k").etag
    assert put(store, "k", b"second", replace=True, if_match=seen) == 1
    assert store.get("k") == b"second"
    assert store.stat("k").etag != seen
    with pytest.raises(ObjectChangedError, match="k"):
        put(store, "k", b"third", replace=True, if_match=seen)
    assert store.get("k") == b"second"


def test_if_match_of_a_write_that_was_done_is_a_success(store: Store) -> None:
    """As after a lost reply: the caller has the ETag of before, and the object is what it wanted."""
    put(store, "k", b"first")
    seen = store.stat("k").etag
    put(store, "k", b"second", replace=True, if_match=seen)
    now = store.stat("k")
    assert put(store, "k", b"second", replace=True, if_match=seen) == 1
    assert store.stat("k") == now


def test_if_match_creates_nothing(store: Store) -> None:
    put(store, "k", b"first")
    seen = store.stat("k").etag
    store.delete("k")
    with pytest.raises(ObjectChangedError, match="k"):
        put(store, "k", b"second", replace=True, if_match=seen)
    assert list(store.list()) == []


def test_if_match_removes_the_object_that_was_seen(store: Store) -> None:
    put(store, "k", b"first")
    seen = store.stat("k").etag
    put(store, "k", b"second", replace=True)
    with pytest.raises(ObjectChangedError, match="k"):
        store.delete("k", if_match=seen)
    assert store.get("k") == b"second"
    store.delete("k", if_match=store.stat("k").etag)
    assert list(store.list()) == []
    store.delete("k", if_match=seen)
    store.delete("never/was", if_match=seen)


def test_of_many_replacers_with_one_etag_one_wins(store: Store) -> None:
    put(store, "contested", b"first")
    seen = store.stat("contested").etag
    bodies = [bytes([number]) * 1000 for number in range(12)]

    def replace(body: bytes) -> bytes | None:
        try:
            put(store, "contested", body, replace=True, if_match=seen)
        except ObjectChangedError:
            return None
        return body

    with ThreadPoolExecutor(len(bodies)) as pool:
        winners = [body for body in pool.map(replace, bodies) if body is not None]
    assert winners == [store.get("contested")]


@pytest.mark.parametrize(("replace", "if_match"), [(False, "etag"), (True, "")])
def test_refuses_a_condition_that_means_nothing(store: Store, replace: bool, if_match: str) -> None:
    with pytest.raises(ConfigurationError, match="if_match="):
        put(store, "k", replace=replace, if_match=if_match)


def test_conditions_are_checked_by_the_server(store: Store) -> None:
    assert (store.conditional_create, store.conditional_replace, store.conditional_delete) == (True, True, True)


def test_now_is_the_time_that_objects_are_dated_by(store: Store) -> None:
    before = store.now()
    put(store, "k")
    assert before - 1 <= store.stat("k").modified <= store.now() + 1


ODD_KEYS = [
    "data/a%2Fb/%/%25 100%.json.gz",
    "data/a%2Fb/%2E%2E/x",
    "data/ü/日本語.gz",
    "data/ü/🙂 + & = ? # ;.gz",
    ".dot/.file",
    "tilde~/'quote\"/a:b",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_takes_unusual_keys_as_they_are(store: Store, key: str) -> None:
    put(store, key)
    assert store.get(key) == b"body"
    assert store.stat(key).key == key
    assert [info.key for info in store.list(key)] == [key]
    store.delete(key)
    assert list(store.list()) == []


def test_list_goes_by_key_below_a_prefix(store: Store) -> None:
    for key in ["b/2", "a/1", "b/10", "c", "b/1", "ba"]:
        put(store, key, key.encode())
    assert [info.key for info in store.list()] == ["a/1", "b/1", "b/10", "b/2", "ba", "c"]
    assert [(info.key, info.size) for info in store.list("b/1")] == [("b/1", 3), ("b/10", 4)]
    assert [info.key for info in store.list("b")] == ["b/1", "b/10", "b/2", "ba"]
    assert list(store.list("nothing/")) == []


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "..", "./"])
def test_list_never_leaves_the_root(store: Store, prefix: str) -> None:
    put(store, "a/1")
    assert list(store.list(prefix)) == []


def test_a_folder_is_listed_without_what_is_in_its_folders(store: Store) -> None:
    for key in ("runs/a.json", "runs/a/firings/1", "runs/a/alive/2", "runs/b.json", "runs-other/c.json"):
        put(store, key)
    assert [info.key for info in list_folder(store, "runs/")] == ["runs/a.json", "runs/b.json"]


def test_a_store_without_objects_is_empty(store: Store) -> None:
    assert list(store.list()) == []


def test_what_is_missing_is_not_found(store: Store) -> None:
    put(store, "there/x")
    for key in ["missing", "there", "there/y", "there/x/z"]:
        with pytest.raises(ObjectNotFoundError, match=key):
            store.get(key)
        with pytest.raises(ObjectNotFoundError, match=key):
            store.stat(key)


def test_deleting_twice_is_no_error(store: Store) -> None:
    put(store, "k")
    store.delete("k")
    store.delete("k")
    store.delete("never/was")
    with pytest.raises(ObjectNotFoundError):
        store.get("k")
    put(store, "k", b"again")
    assert store.get("k") == b"again"


OPERATIONS: list[Callable[[Store, str], object]] = [
    put,
    lambda store, key: store.delete(key),
    lambda store, key: store.get(key),
    lambda store, key: store.read(key),
    lambda store, key: store.stat(key),
]


@pytest.mark.parametrize("key", ["", ".", "..", "../a", "a/../b", "a/./b", "a/.."])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_refuses_keys_that_could_leave_the_root(
    store: Store, operation: Callable[[Store, str], object], key: str
) -> None:
    with pytest.raises(ConfigurationError, match="key="):
        operation(store, key)


@pytest.mark.parametrize("key", ["/a", "a/", "a//b", "a\tb"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_writes_no_key_that_a_file_can_t_have(
    store: Store, operation: Callable[[Store, str], object], key: str
) -> None:
    """On S3 others do, so it may be read there."""
    reads = isinstance(store, S3Store) and operation in OPERATIONS[2:]
    with pytest.raises(ObjectNotFoundError if reads else ConfigurationError, match="failed" if reads else "key="):
        operation(store, key)


def test_travels_by_pickle(store: Store) -> None:
    put(store, "before")
    again: Store = pickle.loads(pickle.dumps(store))
    assert again.root == store.root
    assert again.get("before") == b"body"
    put(again, "after")
    assert store.get("after") == b"body"
    assert repr(again) == repr(store)


def test_the_url_of_a_key_begins_with_the_root(store: Store) -> None:
    assert not store.root.endswith("/")
    assert store.url("a/b%2F c") == f"{store.root}/a/b%2F c"


def test_check_writable_leaves_nothing_behind(store: Store) -> None:
    store.check_writable()
    assert list(store.list()) == []
    put(store, "k")
    store.check_writable()
    assert [info.key for info in store.list()] == ["k"]
