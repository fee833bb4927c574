"""The local folder: atomic, durable names, errors that name the path."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import pathlib
import stat
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import ObjectChangedError, ObjectExistsError, StoreError
from beam_s3box.stores import LocalStore


def put(store: LocalStore, key: str, body: bytes = b"body", replace: bool = False) -> None:
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="text/plain", replace=replace)


def test_the_root_is_an_absolute_file_url(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert LocalStore("out/x/../y/").root == f"file://{tmp_path}/out/y"
    assert LocalStore("/").url("k") == "file:///k"
    monkeypatch.setenv("HOME", "/somewhere")
    assert LocalStore("~/out").root == "file:///somewhere/out"


@pytest.mark.parametrize(("call", "replace"), [("link", False), ("replace", True), ("fsync", False)])
def test_a_failed_write_leaves_no_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str, replace: bool
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError, match=f"write {tmp_path}/a/k failed: No space left on device") as caught:
        put(LocalStore(tmp_path), "a/k", replace=replace)
    assert isinstance(caught.value.__cause__, OSError)
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_durable_before_its_name_and_then_the_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    calls: list[str] = []
    fsync, named = os.fsync, {"link": os.link, "replace": os.replace}

    def sync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def note(name: str) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            calls.append(name)
            named[name](*arguments)

        return call

    monkeypatch.setattr(os, "fsync", sync)
    for name in named:
        monkeypatch.setattr(os, name, note(name))
    put(LocalStore(tmp_path), "k", replace=replace)
    assert calls == ["file", "replace" if replace else "link", "folder"]


def test_a_lost_race_leaves_only_the_winner(tmp_path: pathlib.Path) -> None:
    store = LocalStore(tmp_path)
    put(store, "k")
    with pytest.raises(ObjectExistsError, match=f"{tmp_path}/k"):
        put(store, "k")
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("write", [True, False])
def test_who_compares_waits_for_others_that_do(tmp_path: pathlib.Path, write: bool) -> None:
    """Between its comparison and its change nobody else changes the file."""
    store = LocalStore(tmp_path)
    put(store, "k")
    etag, failures = store.stat("k").etag, []

    def change() -> None:
        try:
            if write:
                digest = hashlib.sha256(b"ours").hexdigest()
                store.put("k", b"ours", sha256=digest, content_type="text/plain", replace=True, if_match=etag)
            else:
                store.delete("k", if_match=etag)
        except ObjectChangedError as exc:
            failures.append(exc)

    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        other = threading.Thread(target=change)
        other.start()
        other.join(0.3)
        assert other.is_alive()
        put(store, "k", b"theirs", replace=True)
    finally:
        os.close(folder)
    other.join()
    assert len(failures) == 1
    assert store.get("k") == b"theirs"


def test_a_half_written_file_is_never_listed(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".beam_s3box-0123.part").write_bytes(b"half")
    (tmp_path / ".mine").write_bytes(b"whole")
    assert [info.key for info in LocalStore(tmp_path).list()] == [".mine"]


def test_files_have_the_modes_of_the_user(tmp_path: pathlib.Path) -> None:
    put(LocalStore(tmp_path), "k")
    (tmp_path / "other").touch()
    assert (tmp_path / "k").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("replace", [False, True])
def test_names_what_is_in_the_way(tmp_path: pathlib.Path, replace: bool) -> None:
    store = LocalStore(tmp_path)
    put(store, "a/b")
    with pytest.raises(StoreError, match=f"write {tmp_path}/a failed: there is a folder of this name"):
        put(store, "a", replace=replace)
    with pytest.raises(StoreError, match=f"write {tmp_path}/a/b/c failed: "):
        put(store, "a/b/c", replace=replace)


def test_a_name_no_file_can_have_is_a_store_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StoreError, match="failed: "):
        put(LocalStore(tmp_path), "n" * 300)
    assert list(tmp_path.iterdir()) == []


def test_check_writable_makes_no_folder(tmp_path: pathlib.Path) -> None:
    LocalStore(tmp_path / "a" / "b").check_writable()
    assert list(tmp_path.iterdir()) == []


def test_check_writable_meets_what_a_write_would(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    for store in (LocalStore(tmp_path / "file"), LocalStore(tmp_path / "file" / "below"), LocalStore("/proc/none")):
        with pytest.raises(StoreError, match=r"^write /"):
            store.check_writable()
        with pytest.raises(StoreError, match=r"^write /"):
            put(store, "k")
