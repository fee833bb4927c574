"""Recovers the files that an earlier process left in a folder, and reports those that this streamer can't list."""

from __future__ import annotations

import collections
import os
from typing import NamedTuple

from beam_s3box.records.streams import Stream
from beam_s3box.streamer.buffers import is_torn_at_first_record, read_header
from beam_s3box.streamer.descriptions import Description, read_description
from beam_s3box.streamer.events import report
from beam_s3box.streamer.files import read_file, size_of
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.manifest_journal import ManifestJournal, other_settings
from beam_s3box.streamer.output import Output
from beam_s3box.streamer.sealed_buffer import SealedBuffer
from beam_s3box.system.local_files import sync_folder


class Left(NamedTuple):
    """What an earlier process left.

    Attributes:
      sealed: buffers to be uploaded, oldest first.
      uploaded: descriptions of files that are uploaded and in no manifest, by name.
    """

    sealed: list[SealedBuffer]
    uploaded: dict[str, Description]


def recover_files(folder: Folder, manifests: ManifestJournal | None, output: Output) -> list[SealedBuffer]:
    """Return the files that an earlier process left to be uploaded; report those that no manifest will list.

    Args:
      folder: the folder, which is locked.
      manifests: writes the manifests, None for none.
      output: what this streamer writes.
    """
    left = recover(folder)
    folder.uploaded.update(left.uploaded)
    unlistable = [*left.uploaded.values()]
    if manifests is not None:
        unlistable = [file for file in unlistable if not manifests.can_list(file)] + manifests.recover()
    others = [(file.output, file.url) for file in unlistable]
    others += [(sealed.output, None) for sealed in left.sealed if sealed.output.listed != output.listed]
    error = other_settings(others, folder.path)
    if error is not None:
        report(error)
    return left.sealed


def recover(folder: Folder) -> Left:
    """Clean up after an earlier process and return what it left. Any step that fails may be repeated."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for name, state in folder.scan():
        found[name].add(state)
    if found:
        # the earlier process may have ended before it synced a name on which the removal of another file relies
        sync_folder(folder.path)
    left = Left([], {})
    for name, states in sorted(found.items()):
        _recover(folder, name, states, left)
    for name, state in folder.scan():
        folder.measure(folder.path_of(name, state))
        if state.endswith("damaged"):
            folder.damaged.add(name)
    for sealed in left.sealed:
        if sealed.description is None:
            size = size_of(folder.path_of(sealed.name, "sealed")) or 0
            # a record takes at least three bytes, and one more in an array
            folder.quota.set_reserved(sealed.name, size * 3 // 2)
    return left


def _recover(folder: Folder, name: str, states: set[str], left: Left) -> None:
    folder.drop(folder.path_of(name, "part"))
    uploaded = _read(folder, name, "uploaded") if "uploaded" in states else None
    if uploaded is not None:
        # all other files of that name were about to be removed
        for state in ("ready", "open", "sealed", "json", "json.gz"):
            folder.drop(folder.path_of(name, state))
        left.uploaded[name] = uploaded
        return
    ready = _read(folder, name, "ready") if "ready" in states else None
    if ready is not None:
        # its buffer, if it still exists, is needed until the file is known to be complete
        if "open" in states:
            os.rename(folder.path_of(name, "open"), folder.path_of(name, "sealed"))
        stream = Stream(ready.file.domain, ready.file.namespace)
        left.sealed.append(SealedBuffer(name, stream, ready.output, description=ready, ready=True))
        return
    sealed = _recover_buffer(folder, name, states)
    _clear_output(folder, name, states, is_needed=sealed is not None)
    if sealed is not None:
        left.sealed.append(sealed)


def _read(folder: Folder, name: str, state: str) -> Description | None:
    description = read_description(read_file(folder.path_of(name, state)), name, folder.path)
    if description is None:
        folder.set_aside(name, state, f"the description {folder.path_of(name, state).name} is damaged")
    return description


def _clear_output(folder: Folder, name: str, states: set[str], *, is_needed: bool) -> None:
    """Remove a finished file without a description, which is incomplete or uploaded; keep it if that is damaged.

    Args:
      folder: has the file.
      name: of the file.
      states: of all files of that name.
      is_needed: whether its buffer is there, which a loss of power may have cut.
    """
    orphaned = states & {"ready", "uploaded"} and not states & {"open", "sealed"}
    for state in states & {"json", "json.gz"}:
        if orphaned:
            folder.set_aside(name, state, f"the description of {folder.path_of(name, state).name} is damaged")
        elif not is_needed or folder.read_finished(folder.path_of(name, state)) is None:
            folder.drop(folder.path_of(name, state))


def _recover_buffer(folder: Folder, name: str, states: set[str]) -> SealedBuffer | None:
    state = next((state for state in ("sealed", "open") if state in states), None)
    if state is None:
        return None
    path = folder.path_of(name, state)
    if states >= {"open", "sealed"}:
        folder.set_aside(name, "open", f"another program made {folder.path_of(name, 'open').name}")
    if is_torn_at_first_record(path):
        folder.drop(path)
        return None
    header = read_header(path)
    if header is None:
        folder.set_aside(name, state, f"a crash damaged the buffer {name}: its header can't be read")
        return None
    if state == "open":
        os.rename(path, folder.path_of(name, "sealed"))
    return SealedBuffer(name, *header)
