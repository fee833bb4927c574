"""Examines a store: its rights, what it refuses and what it shows; and says which guarantees of ours hold there."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from beam_s3box.errors import AccessError, S3BoxError, StoreError
from beam_s3box.runs.doctor import conditions, s3_probes, visibility
from beam_s3box.runs.doctor.findings import Finding, Verdict, fails, holds, unknown
from beam_s3box.runs.doctor.folder import Folder, left_by_others, put
from beam_s3box.runs.doctor.guarantees import GUARANTEES, NOT_SUPPORTED, Guarantee, settings_for
from beam_s3box.stores import S3Settings, Store
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_check import find_bucket
from beam_s3box.stores.s3_errors import error_code

Probe: TypeAlias = Callable[[str, Folder, Store], Finding]

_ATTEMPTS: Final = 4
_RETRY_SECONDS: Final = 10.0
"""A failure of the moment must not be taken for what the store does."""

_UNSUPPORTED: Final = ("NotImplemented", "501", "InvalidArgument", "InvalidRequest", "MethodNotAllowed", "405")

_PROBES: Final[Mapping[str, Probe]] = {
    "read after write": visibility.read_after_write,
    "list after write": visibility.list_after_write,
    "ETags": visibility.etags,
    "names": visibility.odd_keys,
    "clock": visibility.clock,
    "create only": conditions.create_only,
    "create only, racing": conditions.create_only_racing,
    "replace by ETag": conditions.replace_if_match,
    "replace by ETag, racing": conditions.replace_if_match_racing,
    "delete by ETag": conditions.delete_if_match,
}
"""Of any store."""

_ABORT: Final = "parts aborted"
"""Before all other uploads in parts: where one can't be aborted, no more are begun."""

_S3_PROBES: Final[Mapping[str, Probe]] = {
    "metadata": visibility.metadata,
    _ABORT: s3_probes.abort,
    "parts": s3_probes.multipart,
}

_CHECKSUMS: Final[Mapping[str, Probe]] = {
    "checksums": s3_probes.checksums,
    "checksums of parts": s3_probes.part_checksums,
}

_IN_PARTS: Final[Mapping[str, Probe]] = {
    "create only, in parts": conditions.create_only,
    "create only, in parts, racing": conditions.create_only_racing,
    "replace by ETag, in parts": conditions.replace_if_match,
}
"""Through a store that uploads everything in parts."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What an examination found.

    Attributes:
      destination: the URL of the store's root.
      findings: of the probes, in order.
      guarantees: each with the findings that it does not hold for; none where it holds.
      settings: options that should be given there.
      left: URLs of objects that could not be removed.
      left_by_others: of objects that an examination which was killed has left, and that were removed now.
    """

    destination: str
    findings: tuple[Finding, ...]
    guarantees: Mapping[Guarantee, tuple[Finding, ...]]
    settings: tuple[str, ...]
    left: tuple[str, ...] = ()
    left_by_others: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether all guarantees hold, and nothing is left."""
        return not any(self.guarantees.values()) and not self.left


class _Opened(NamedTuple):
    """A store as it is examined.

    Attributes:
      store: writes objects in one request.
      in_parts: writes all of them in parts; None for what is not S3.
    """

    store: Store
    in_parts: Store | None


def examine(store: Store, note: Callable[[Finding], object] = lambda finding: None) -> Diagnosis:
    """Examine a store and remove everything that was written to it.

    Args:
      store: with the settings that a write would have; conditions are tried whether or not it asks for them.
      note: is called with each finding as it is found.

    Raises:
      S3BoxError: the store can't be reached, or nothing can be written.
    """
    folder = Folder(_plain(store))
    findings: list[Finding] = []
    with _removed(folder) as left:
        opened, refused = _opened(store, folder)
        for found in itertools.chain(_findings(opened, folder), refused):
            finding = _without_weight(found)
            findings.append(finding)
            note(finding)
        others = _remove_left(folder)
    by_name = {finding.name: finding for finding in findings}
    guarantees = {one: one.failures(by_name) for one in GUARANTEES}
    return Diagnosis(store.root, tuple(findings), guarantees, settings_for(by_name), tuple(left), tuple(others))


def _without_weight(finding: Finding) -> Finding:
    """Return the finding, which says so if nothing depends on it."""
    if finding.verdict is Verdict.HOLDS or any(finding.name in one.needs for one in GUARANTEES):
        return finding
    return finding._replace(detail=f"{finding.detail}; no guarantee of ours depends on it")


@contextlib.contextmanager
def _removed(folder: Folder) -> Iterator[list[str]]:
    """Remove all objects at the end of the block; yield a list that then has those that could not be removed."""
    left: list[str] = []
    try:
        yield left
        left += folder.remove()
    except BaseException as exc:
        # a note that holds until the objects are gone, should another signal come meanwhile
        exc.add_note(f"what is left is below {folder.url}: remove it, or s3box gc does")
        if not folder.remove():
            exc.__notes__.pop()
        raise


def _plain(store: Store) -> Store:
    """Return the store with few attempts, and nothing that a server may refuse."""
    if not isinstance(store, S3Store):
        return store
    settings = dataclasses.replace(
        store.settings,
        checksums=False,
        max_attempts=_ATTEMPTS,
        retry_seconds=min(store.settings.retry_seconds, _RETRY_SECONDS),
    )
    return store.with_settings(settings)


def _opened(store: Store, folder: Folder) -> tuple[_Opened, tuple[Finding, ...]]:
    """Return the store with all that it may be asked for; and a finding if it refuses checksums.

    Raises:
      StoreError: it refuses everything.
    """
    if not isinstance(folder.store, S3Store):
        return _Opened(store, None), ()
    settings = dataclasses.replace(folder.store.settings, conditional_writes=True, checksums=True)
    refused: tuple[Finding, ...] = ()
    full = folder.store.with_settings(settings)
    with contextlib.suppress(AccessError):
        find_bucket(folder.store.requests)
    key = folder.key("checksum")
    try:
        put(full, key, b"checksum", replace=True)
    except AccessError:
        folder.forget(key)  # the probe of this right says more
    except StoreError as exc:
        if error_code(exc) not in _UNSUPPORTED:
            raise
        refused = (fails("checksums", f"{NOT_SUPPORTED}: {exc}"),)
        settings = dataclasses.replace(settings, checksums=False)
    return _Opened(full.with_settings(settings), full.with_settings(_all_in_parts(settings))), refused


def _all_in_parts(settings: S3Settings) -> S3Settings:
    return dataclasses.replace(settings, multipart_bytes=1)


def _findings(opened: _Opened, folder: Folder) -> Iterator[Finding]:
    rights = list(_rights(opened.store, folder))
    yield from rights
    denied = {finding.name for finding in rights if finding.verdict is not Verdict.HOLDS}
    missing = next((name for name in ("write", "read", "delete") if name in denied), None)
    can_abort = True
    for name, (store, probe) in _all_probes(opened).items():
        if "parts" in name and not can_abort:
            yield unknown(name, "not tried, because uploads in parts can't be aborted here")
        elif missing is not None:
            yield unknown(name, f"not tried, because objects can't be {_DONE[missing]} here")
        elif "list" in denied and name in _NEED_LIST:
            yield unknown(name, "not tried, because objects can't be listed here")
        else:
            finding = _tried(name, probe, folder, store)
            can_abort = can_abort and (name != _ABORT or finding.verdict is not Verdict.UNKNOWN)
            if name == _ABORT and not can_abort:
                finding = finding._replace(detail=f"{finding.detail}; one upload is left below {folder.url}")
            yield finding


_DONE: Final = {"write": "written", "read": "read", "delete": "deleted"}
_NEED_LIST: Final = ("list after write", "ETags", "names", "delete by ETag")


def _all_probes(opened: _Opened) -> dict[str, tuple[Store, Probe]]:
    found = {name: (opened.store, probe) for name, probe in _PROBES.items()}
    if opened.in_parts is not None:
        found |= {name: (opened.store, probe) for name, probe in _S3_PROBES.items()}
        if isinstance(opened.store, S3Store) and opened.store.settings.checksums:
            found |= {name: (opened.store, probe) for name, probe in _CHECKSUMS.items()}
        found |= {name: (opened.in_parts, probe) for name, probe in _IN_PARTS.items()}
    return found


def _tried(name: str, probe: Probe, folder: Folder, store: Store) -> Finding:
    try:
        return probe(name, folder, store)
    except AccessError as exc:
        return unknown(name, f"not allowed: {exc}")
    except StoreError as exc:
        what = f"{NOT_SUPPORTED}: " if error_code(exc) in _UNSUPPORTED else ""
        return fails(name, f"{what}{exc}")


def _rights(store: Store, folder: Folder) -> Iterator[Finding]:
    """Yield whether objects may be written, read, listed and deleted, by one object."""
    key = folder.key("rights")
    actions: dict[str, Callable[[], object]] = {
        "write": lambda: put(store, key, b"rights", replace=True),
        "read": lambda: (store.get(key), store.stat(key)),
        "list": lambda: list(store.list(folder.prefix)),
        "delete": lambda: store.delete(key),
    }
    is_written = True
    for name, action in actions.items():
        began = time.monotonic()
        if name == "read" and not is_written:
            yield unknown(name, "not tried, because objects can't be written here")
            continue
        try:
            action()
        except AccessError as exc:
            if name == "write":
                is_written = False
                folder.forget(key)
            yield fails(name, f"not allowed: {exc}")
        except S3BoxError as exc:
            if name == "write":
                raise  # nothing at all can be tried
            yield fails(name, str(exc))
        else:
            yield holds(name, f"allowed; took {1000 * (time.monotonic() - began):.0f} ms")


def _remove_left(folder: Folder) -> Sequence[str]:
    """Remove what examinations that were killed have left, and return the URLs."""
    try:
        infos = list(left_by_others(folder))
        for info in infos:
            folder.store.delete(info.key)
    except S3BoxError:
        return ()  # without the right to list or delete there is nothing to do
    return [folder.store.url(info.key) for info in infos]
