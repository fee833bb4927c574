"""Objects as files in a local folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from beam_s3box.errors import (
    AccessError,
    ConfigurationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)
from beam_s3box.stores.base import ObjectInfo, check_condition, check_key
from beam_s3box.system import outside
from beam_s3box.system.local_files import sync_folder

_TEMPORARY_PREFIX = ".beam_s3box-"
_TEMPORARY_SUFFIX = ".part"
_TEMPORARY_NAME = re.compile(rf"{re.escape(_TEMPORARY_PREFIX)}.*{re.escape(_TEMPORARY_SUFFIX)}")
_READ_BYTES = 1 << 20


class LocalStore:
    """Objects as files below one folder, which the first write creates.

    A file appears as a whole under its final name: it is written and synced under another name in the same folder, and
    then linked. So the file system must support hard links, as those of Linux and macOS do.

    Writes and deletions with `if_match` lock the file's folder, across processes too; unconditional ones do not wait
    for the lock. ETags consist of the file's inode, size and time.

    Args:
      path: the path of the folder.
      clock: returns seconds since the epoch, by the clock of the file system.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Callable[[], float] = outside.wall_seconds) -> None:
        # absolute, because a worker may have another working directory
        self._folder = pathlib.Path(os.path.abspath(os.path.expanduser(path)))
        self._clock = clock
        _check_text(str(self._folder))

    def __repr__(self) -> str:
        return f"LocalStore({str(self._folder)!r})"

    @property
    def root(self) -> str:
        """The URL of the root; the path is not percent-encoded."""
        return "file://" + str(self._folder).rstrip("/")

    @property
    def folder(self) -> pathlib.Path:
        """The folder; it may not exist yet."""
        return self._folder

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key}"

    @property
    def conditional_create(self) -> bool:
        """Linking fails if the name exists."""
        return True

    @property
    def conditional_replace(self) -> bool:
        """`if_match` is checked under a lock."""
        return True

    @property
    def conditional_delete(self) -> bool:
        """`if_match` is checked under a lock."""
        return True

    def put(
        self,
        key: str,
        body: bytes,
        *,
        sha256: str,
        content_type: str,
        replace: bool = False,
        if_match: str | None = None,
    ) -> int:
        """Write an object; see `Store.put`. The checksum and the type are not stored."""
        check_condition(replace, if_match)
        path = self._path(key)
        with _translated("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _temporary_file(path.parent) as temporary:
                _write(temporary, body)
                if if_match is None:
                    _publish(temporary, path, replace)
                else:
                    _replace_matching(temporary, path, if_match, body)
            sync_folder(path.parent)
        return 1

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        path = self._path(key)
        with _translated("read", path):
            return path.read_bytes()

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and its properties."""
        path = self._path(key)
        with _translated("read", path), path.open("rb") as file:
            body, status = file.read(), os.fstat(file.fileno())
        return body, _info(key, status, hashlib.sha256(body).hexdigest())

    def stat(self, key: str) -> ObjectInfo:
        """Return the properties of an object; its checksum is computed from its bytes."""
        path = self._path(key)
        with _translated("read", path), path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(_READ_BYTES):
                digest.update(block)
            status = os.fstat(file.fileno())
        return _info(key, status, digest.hexdigest())

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with the prefix, by key."""
        with _translated("list", self._folder):
            found = sorted(_files(self._folder, prefix))
        for key, path in found:
            with _translated("list", path):
                status = path.stat()
            yield _info(key, status, None)

    def unfinished(self) -> Iterator[ObjectInfo]:
        """Yield the files of writes that did not end, which `list` does not show, as killed processes leave."""
        with _translated("list", self._folder):
            for path in sorted(self._folder.rglob(f"{_TEMPORARY_PREFIX}*{_TEMPORARY_SUFFIX}")):
                # one of a live process may be gone by now
                with contextlib.suppress(FileNotFoundError):
                    yield _info(path.relative_to(self._folder).as_posix(), path.stat(), None)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete an object, if it exists; folders are kept. See `Store.delete`."""
        check_condition(True, if_match)
        path = self._path(key)
        with _translated("delete", path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if if_match is None:
                path.unlink()
                return
            with _locked(path.parent):
                if _etag(path.stat()) != if_match:
                    raise _changed("delete", path)
                path.unlink()

    @property
    def clock_resolution(self) -> float:
        """File systems use the time of the kernel's last tick."""
        return 0.02

    def now(self) -> float:
        """Return the time by this store's clock."""
        return self._clock()

    def check_writable(self) -> None:
        """Raise the error that a write would raise: try a file in the folder, or in its nearest existing parent."""
        with _translated("write", self._folder), _temporary_file(_nearest_folder(self._folder)):
            pass

    def _path(self, key: str) -> pathlib.Path:
        return self._folder / check_key(key)


def _nearest_folder(folder: pathlib.Path) -> pathlib.Path:
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


@contextlib.contextmanager
def _temporary_file(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    path = folder / f"{_TEMPORARY_PREFIX}{outside.token()}{_TEMPORARY_SUFFIX}"
    try:
        # not `tempfile`, whose files only their owner may read
        path.touch(exist_ok=False)
        yield path
    finally:
        # it may have been renamed, or never created
        path.unlink(missing_ok=True)


def _write(path: pathlib.Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _publish(temporary: pathlib.Path, path: pathlib.Path, replace: bool) -> None:
    if path.is_dir():
        raise StoreError(f"write {path} failed: there is a folder of this name")
    if replace:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError as exc:
        raise ObjectExistsError(f"write {path} failed: a file of this name already exists") from exc


def _replace_matching(temporary: pathlib.Path, path: pathlib.Path, etag: str, body: bytes) -> None:
    with _locked(path.parent):
        try:
            found = _etag(path.stat())
            if found != etag and path.read_bytes() == body:
                return
        except FileNotFoundError:
            found = None
        if found != etag:
            raise _changed("write", path)
        os.replace(temporary, path)


class _Lock:
    """A lock on a folder, across processes; it is released with the object, in case a signal handler interrupts."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._handles: list[int] = []
        self._handles.append(os.open(folder, os.O_RDONLY))

    def take(self) -> None:
        fcntl.flock(self._handles[0], fcntl.LOCK_EX)

    def end(self) -> None:
        while self._handles:
            os.close(self._handles.pop())

    def __del__(self) -> None:
        self.end()


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    lock = _Lock(folder)
    try:
        lock.take()
        yield
    finally:
        lock.end()


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def _info(key: str, status: os.stat_result, sha256: str | None) -> ObjectInfo:
    return ObjectInfo(key, status.st_size, sha256, status.st_mtime, _etag(status))


def _changed(operation: str, path: pathlib.Path) -> ObjectChangedError:
    return ObjectChangedError(f"{operation} {path} failed: it has another ETag than expected, or is gone")


def _files(folder: pathlib.Path, prefix: str) -> Iterator[tuple[str, pathlib.Path]]:
    """Yield key and path of every object below a folder; only those with the prefix are visited."""
    parent = prefix.rpartition("/")[0]
    try:
        start = folder / check_key(parent) if parent else folder
    except ConfigurationError:
        # no key starts like that
        return
    if not start.is_dir():
        return
    for path, _, names in os.walk(start, onerror=_raise):
        for name in names:
            file = pathlib.Path(path, name)
            key = file.relative_to(folder).as_posix()
            if key.startswith(prefix) and not _TEMPORARY_NAME.fullmatch(name):
                yield key, file


def _raise(error: OSError) -> None:
    raise error


@contextlib.contextmanager
def _translated(operation: str, path: pathlib.Path) -> Iterator[None]:
    """Translate errors of the operating system into errors of this package."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
        if operation == "read":
            raise ObjectNotFoundError(f"read {path} failed: there is no such file") from exc
        raise StoreError(f"{operation} {path} failed: {exc.strerror}") from exc
    except PermissionError as exc:
        raise AccessError(f"{operation} {path} failed: {exc.strerror}; give this user the permission") from exc
    except (OSError, ValueError) as exc:
        # ValueError: an invalid name of a file, such as one with a zero byte
        raise StoreError(f"{operation} {path} failed: {getattr(exc, 'strerror', None) or exc}") from exc


def _check_text(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise ConfigurationError(
            f"destination={path!r} is not valid UTF-8, and manifests contain it: choose another folder"
        ) from exc
