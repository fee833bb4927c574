"""The local folder: every file of a streamer, and its states.

    {name}.open      a buffer that is being written
    {name}.sealed    a buffer that is complete
    {name}.json[.gz] the finished file that is uploaded, complete when {name}.ready exists
    {name}.ready     its description; from now on the buffer is not needed
    {name}.uploaded  the same description, once the file is uploaded, until a manifest lists it
    {name}.damaged   what a crash left that can't be read; the second one is {name}.{state}.damaged
    {name}.listing   the files of manifests that are being written
    {name}.part      a small file that is being written, before it is renamed
    lock             holds the ids of the process and of the streamer's run

Every step is one atomic rename or removal, so that the names alone show the next process how to continue, wherever
this one is killed. Each method may be called again after it failed or was interrupted at any line, and continues then.
The name is created with the buffer and never changes: it alone determines the key of the object.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import pathlib
import re
import threading
from collections.abc import Callable, Iterator

from beam_s3box.errors import RecordsLostError, StreamerError
from beam_s3box.shards.runs import new_origin, new_run_id
from beam_s3box.streamer.buffers import read_lines, read_whole_records
from beam_s3box.streamer.descriptions import Description
from beam_s3box.streamer.events import BufferFile, report
from beam_s3box.streamer.files import read_file, remove, size_of, write_file
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.journal import Journal
from beam_s3box.streamer.lock import FolderLock
from beam_s3box.streamer.output import Rendered, read_rendered, render
from beam_s3box.streamer.quota import DiskQuota
from beam_s3box.streamer.sealed_buffer import SealedBuffer
from beam_s3box.system.local_files import sync_folder

_STATES = "open|sealed|json|json\\.gz|ready|part|uploaded|listing"
_NAME = re.compile(
    r"(?P<name>\d{8}T\d{6}Z-[0-9a-f]{8}-[0-9a-f]{12}-\d{5,})"
    rf"\.(?P<state>{_STATES}|((?:{_STATES})\.)?damaged)"
)


class Folder:
    """Creates, finishes and removes the files of one streamer; threads may work on different files at the same time.

    Args:
      path: the path of the folder.
      quota: counts its bytes.
      url_of: returns the URL that a file is uploaded to; None if the uploader does not know it.
    """

    def __init__(self, path: pathlib.Path, quota: DiskQuota, url_of: Callable[[BufferFile], str | None]) -> None:
        self.path = path
        self.quota = quota
        self._url_of = url_of
        self.run_id = new_run_id()
        self._origin = new_origin()
        self._numbers = itertools.count()
        self._guard = threading.Lock()
        self.lock = FolderLock(path, self.run_id)
        self.damaged: set[str] = set()
        self.uploaded: dict[str, Description] = {}

    def new_name(self) -> str:
        """Return a name that no other file has, in this folder or that of any other streamer."""
        return f"{self.run_id}-{self._origin}-{next(self._numbers):05d}"

    def path_of(self, name: str, state: str) -> pathlib.Path:
        """Return the path of a file."""
        return self.path / f"{name}.{state}"

    def scan(self) -> Iterator[tuple[str, str]]:
        """Yield name and state of each file of a streamer; links and folders are ignored."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                if (match := _NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                    yield match["name"], match["state"]

    @synchronized
    def restore(self) -> None:
        """Create and lock the folder again if another program removed it."""
        if not (self.lock.held and os.path.isdir(self.path)):
            os.makedirs(self.path, exist_ok=True)
            self.lock.release()
            self.lock.acquire()

    def seal(self, sealed: SealedBuffer, journal: Journal) -> None:
        """Mark a buffer as complete; one that another program removed is written again."""
        source, target = self.path_of(sealed.name, "open"), self.path_of(sealed.name, "sealed")
        # not found: renamed by an earlier call, or removed by another program
        with contextlib.suppress(FileNotFoundError):
            os.rename(source, target)
        if not journal.is_at(target):
            self.restore()
            part = self.path_of(sealed.name, "part")
            journal.copy_to(part)
            os.rename(part, target)
        sealed.records, sealed.size = journal.records, journal.size
        self.measure(source)
        self.measure(target)

    def finish(self, sealed: SealedBuffer) -> BufferFile | None:
        """Return the finished file of a buffer, written if it does not exist yet; None if the buffer has no records.

        Raises:
          RecordsLostError: another program removed it, and nothing of it is left.
        """
        if not sealed.empty and (sealed.description is None or not self._is_whole(sealed, sealed.description)):
            sealed.description = self._write_output(sealed)
            sealed.empty, sealed.checked = sealed.description is None, True
        if sealed.description is not None:
            self._describe(sealed, sealed.description)
        self.drop(self.path_of(sealed.name, "sealed"))
        self.quota.set_reserved(sealed.name, None)
        return sealed.file

    def mark_uploaded(self, sealed: SealedBuffer) -> None:
        """Remove a file that is uploaded; keep its description if a manifest is to list it."""
        description = sealed.description
        if description is None:
            return
        ready = self.path_of(sealed.name, "ready")
        if description.output.listed:
            self._keep_description(sealed, description, ready)
        # before the description: without it, a buffer that a crash brings back would be uploaded again
        sync_folder(self.path)
        # before the file: without its description the file is not uploaded again
        self.drop(ready)
        self.drop(description.file.path)

    def drop_listed(self, description: Description) -> None:
        """Remove the description of a file that is in a listing now."""
        name = description.file.file_name.partition(".")[0]
        self.drop(self.path_of(name, "uploaded"))
        self.uploaded.pop(name, None)

    def drop(self, path: pathlib.Path) -> None:
        """Remove a file if it exists."""
        try:
            remove(path)
        finally:
            self.measure(path)

    def write_atomic(self, name: str, state: str, body: bytes) -> None:
        """Write a small file so that it is complete and synced, or does not exist."""
        self.restore()
        part = self.path_of(name, "part")
        self._write(part, body)
        try:
            os.rename(part, self.path_of(name, state))
        finally:
            self.drop(part)
            self.measure(self.path_of(name, state))
        sync_folder(self.path)

    def set_aside(self, name: str, state: str, what: str) -> None:
        """Rename a file that can't be read to `.damaged`, where it does no harm, and report it."""
        target = self.path_of(name, "damaged")
        if os.path.lexists(target):
            target = self.path_of(name, f"{state}.damaged")
        os.rename(self.path_of(name, state), target)
        self.measure(self.path_of(name, state))
        self.measure(target)
        self._report_damage(name, f"{what}; see {target}")

    def measure(self, path: pathlib.Path) -> None:
        """Tell the quota the current size of a file."""
        self.quota.set(path, size_of(path))

    def _keep_description(self, sealed: SealedBuffer, description: Description, ready: pathlib.Path) -> None:
        uploaded = self.path_of(sealed.name, "uploaded")
        try:
            # needs no room, which a full disk would not have
            os.rename(ready, uploaded)
        except FileNotFoundError:
            # renamed by an earlier call, after which a manifest may have listed it; or removed by another program
            if not sealed.kept and size_of(uploaded) is None:
                self.write_atomic(sealed.name, "uploaded", description.write())
        sealed.kept = True
        self.measure(ready)
        self.measure(uploaded)
        if size_of(uploaded) is not None:
            self.uploaded[sealed.name] = description

    def read_finished(self, path: pathlib.Path) -> Rendered | None:
        """Return what a finished file without a description holds; None if there is none, or it is not whole."""
        return None if size_of(path) is None else read_rendered(read_file(path), path.name)

    def _is_whole(self, sealed: SealedBuffer, description: Description) -> bool:
        """Return whether the finished file is what its description says; one of an earlier process is read, once.

        A power cut may leave the name of an earlier attempt's file, whose bytes never reached the disk.
        """
        if size_of(description.file.path) != description.file.size:
            return False
        if not sealed.checked and description.sha256:
            sealed.checked = hashlib.sha256(read_file(description.file.path)).hexdigest() == description.sha256
            return sealed.checked
        return True

    def _write_output(self, sealed: SealedBuffer) -> Description | None:
        """Write the finished file of a buffer, and its description."""
        rendered = self._render(sealed)
        path = self.path / sealed.file_name
        found = self.read_finished(path)
        # what a crash left of the buffer may be less than what was made of it, and is uploaded perhaps
        if found is not None and found.records >= rendered.records:
            rendered = found
        # remains of a failed attempt; the description first, so that it never exists next to an incomplete file
        self.drop(self.path_of(sealed.name, "ready"))
        # also if there is nothing to write: nobody would remove it before the next streamer looks at the folder
        self.drop(path)
        if not rendered.records:
            return None
        format = sealed.output.make()
        file = BufferFile(
            sealed.file_name,
            *sealed.stream,
            path=path,
            records=rendered.records,
            size=len(rendered.body),
            raw_bytes=rendered.raw_bytes,
            content_type=format.content_type,
        )
        self._write(path, rendered.body)
        return Description(file, sealed.output, None, hashlib.sha256(rendered.body).hexdigest())

    def _describe(self, sealed: SealedBuffer, description: Description) -> None:
        """Write the description of a finished file, with the URL that it is uploaded to."""
        url = self._url_of(description.file)
        if not sealed.ready or description.url != url or size_of(self.path_of(sealed.name, "ready")) is None:
            sealed.ready = False
            sealed.description = description._replace(url=url)
            self.write_atomic(sealed.name, "ready", sealed.description.write())
            sealed.ready = True

    def _render(self, sealed: SealedBuffer) -> Rendered:
        path = self.path_of(sealed.name, "sealed")
        size = size_of(path)
        if size is None:
            self._report_lost(sealed)
        format = sealed.output.make()
        rendered = render(format, read_lines(path)) if size == sealed.size else None
        if rendered is None or rendered.records != sealed.records:
            # left by a crash, or changed by another program
            damaged: list[bytes] = []
            rendered = render(format, read_whole_records(path, sealed.stream, damaged))
            self._keep_damaged(sealed.name, damaged)
        if sealed.records is not None and rendered.records < sealed.records and not sealed.lost:
            sealed.lost = sealed.records - rendered.records
            report(self._lost_error(sealed, sealed.records, "cut"))
        return rendered

    def _report_lost(self, sealed: SealedBuffer) -> None:
        """Report and raise that nothing is left of a buffer."""
        records = sealed.file.records if sealed.file else sealed.records
        sealed.lost = records or 0
        self.drop(self.path_of(sealed.name, "ready"))
        for state in ("json", "json.gz"):
            if size_of(self.path_of(sealed.name, state)) is not None:
                self.set_aside(sealed.name, state, f"another program cut {sealed.file_name} in {self.path}")
        self.quota.set_reserved(sealed.name, None)
        loss = self._lost_error(sealed, records, "removed")
        report(loss)
        raise loss

    def _lost_error(self, sealed: SealedBuffer, records: int | None, how: str) -> RecordsLostError:
        return RecordsLostError(
            f"{sealed.lost} of {'some' if records is None else records} records of {sealed.stream} are lost: another "
            f"program {how} a file of the buffer {sealed.name} in {self.path} before it was uploaded; exclude this "
            "folder from clean-up programs"
        )

    def _keep_damaged(self, name: str, damaged: list[bytes]) -> None:
        if not damaged:
            return
        size = sum(map(len, damaged))
        state = "damaged" if size_of(self.path_of(name, "damaged")) in (None, size) else "sealed.damaged"
        if size_of(self.path_of(name, state)) != size:
            self.write_atomic(name, state, b"".join(damaged))
            what = f"a crash damaged the buffer {name}: {size} bytes of it are no records"
            self._report_damage(name, f"{what}; see {self.path_of(name, state)}")

    def _report_damage(self, name: str, what: str) -> None:
        self.damaged.add(name)
        report(StreamerError(what))

    def _write(self, path: pathlib.Path, body: bytes) -> None:
        """Write a file; remove it after a failure, because it would take the room that the next attempt needs."""
        try:
            write_file(path, body)
        except BaseException:
            self.drop(path)
            raise
        self.measure(path)
