"""The local folder: every file of a streamer, and what each becomes.

    {name}.open      a buffer that is being written
    {name}.sealed    a buffer that is complete
    {name}.json[.gz] the finished file that is uploaded, complete when {name}.ready is there
    {name}.ready     its description; the buffer is removed now
    {name}.uploaded  the same, once it is uploaded, until a manifest lists it
    {name}.damaged   bytes of a buffer that a crash left and that are no record
    {name}.listing   which files go into manifests that are being written
    lock             names the process

Every step is one atomic rename or removal, so that a process killed anywhere finds its way from the names alone. The
name is made with the buffer and never changes: it alone names the object.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import orjson

from beam_s3box.errors import StreamerError
from beam_s3box.formats import Format
from beam_s3box.runs import new_run_id, new_token
from beam_s3box.streamer.buffers import has_records, read_header, read_lines, read_whole_records
from beam_s3box.streamer.events import BufferFile, report
from beam_s3box.streamer.journal import sync_folder
from beam_s3box.streamer.output import Output, Rendered, render
from beam_s3box.streamer.quota import DiskQuota
from beam_s3box.streams import Stream

_NAME = re.compile(
    r"(?P<name>\d{8}T\d{6}Z-[0-9a-f]{8}-[0-9a-f]{12}-\d{5,})"
    r"\.(?P<state>open|sealed|json|json\.gz|ready|part|uploaded|damaged|listing)"
)


class Sealed(NamedTuple):
    """A buffer that takes no more records.

    Attributes:
      name: of the buffer.
      file_name: of the finished file.
      stream: whose records these are.
      output: what becomes of it; None if the file is finished already.
      recovered: whether an earlier process left it, so that its end is not known to be whole.
    """

    name: str
    file_name: str
    stream: Stream
    output: Output | None
    recovered: bool


class Folder:
    """Makes, finishes and removes the files of one streamer; different files may be worked on by different threads."""

    def __init__(self, path: pathlib.Path, quota: DiskQuota) -> None:
        self.path = path
        self._quota = quota
        self.run_id = new_run_id()
        self._origin = new_token(12)
        self._numbers = itertools.count()
        self.damaged: set[str] = set()

    def new_name(self) -> str:
        """Return a name that no other file has, here or in any other streamer's folder."""
        return f"{self.run_id}-{self._origin}-{next(self._numbers):05d}"

    def place(self, name: str, state: str) -> pathlib.Path:
        """Return the path of a file."""
        return self.path / f"{name}.{state}"

    def recover(self) -> list[Sealed]:
        """Tidy up after an earlier process and return what it left to upload, oldest first."""
        found: dict[str, set[str]] = {}
        for name, state in self._scan():
            found.setdefault(name, set()).add(state)
        left = [self._recover(name, states) for name, states in sorted(found.items())]
        self.damaged.update(name for name, states in found.items() if "damaged" in states)
        self._quota.add(sum(self.place(name, state).stat().st_size for name, state in self._scan()))
        return [sealed for sealed in left if sealed]

    def seal(self, name: str, stream: Stream, output: Output) -> Sealed:
        """Say that a buffer is complete."""
        source, target = self.place(name, "open"), self.place(name, "sealed")
        try:
            source.rename(target)
        except OSError as exc:
            if not target.exists():
                raise StreamerError(f"rename {source} failed, it can't be uploaded yet: {exc.strerror}") from exc
        return Sealed(name, name + output.make().extension, stream, output, recovered=False)

    def finish(self, sealed: Sealed) -> BufferFile | None:
        """Return the finished file of a buffer, made if it is not there yet; None if the buffer holds no record."""
        ready = self.place(sealed.name, "ready")
        if sealed.output is None or ready.exists():
            return self._read_description(ready)
        format = sealed.output.make()
        rendered = self._render(sealed, format)
        file = None
        if rendered.records:
            file = self._write_output(sealed, format, rendered)
        self._remove(sealed.name, "sealed")
        return file

    def forget(self, file: BufferFile, *, keep_listed: bool) -> None:
        """Remove a file that is uploaded; keep its description if a manifest shall list it."""
        name = _name_of(file)
        if keep_listed:
            self.place(name, "ready").rename(self.place(name, "uploaded"))
            sync_folder(self.path)
        else:
            # first: without it the file is no longer to be uploaded
            self._remove(name, "ready")
        self.drop(file.path)

    def unlisted(self) -> list[BufferFile]:
        """Return the files that are uploaded and in no manifest, oldest first."""
        names = sorted(name for name, state in self._scan() if state == "uploaded")
        return [self._read_description(self.place(name, "uploaded")) for name in names]

    def drop_listed(self, files: Iterable[BufferFile]) -> None:
        """Remove the descriptions of files that a listing has now; those that are gone already are no error."""
        for file in files:
            self._remove(_name_of(file), "uploaded")

    def listings(self) -> list[pathlib.Path]:
        """Return the manifests that were being written, oldest first."""
        return sorted(self.place(name, state) for name, state in self._scan() if state == "listing")

    def write_whole(self, name: str, state: str, body: bytes) -> None:
        """Write a small file that appears whole, and on the disk, or not at all."""
        part = self.place(name, "part")
        self._write(part, body)
        part.rename(self.place(name, state))
        sync_folder(self.path)

    def _scan(self) -> Iterator[tuple[str, str]]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                if match := _NAME.fullmatch(entry.name):
                    yield match["name"], match["state"]

    def _recover(self, name: str, states: set[str]) -> Sealed | None:
        self._unlink(name, "part")
        if "ready" in states:
            self._unlink(name, "sealed")
            file = self._read_description(self.place(name, "ready"))
            return Sealed(name, file.file_name, Stream(file.domain, file.namespace), output=None, recovered=True)
        # what is there of a finished file is either not whole or uploaded
        self._unlink(name, "json")
        self._unlink(name, "json.gz")
        return self._recover_buffer(name, states)

    def _recover_buffer(self, name: str, states: set[str]) -> Sealed | None:
        state = next((state for state in ("open", "sealed") if state in states), None)
        if state is None:
            return None
        path = self.place(name, state)
        if not has_records(path):
            path.unlink()
            return None
        header = read_header(path)
        if header is None:
            path.rename(self.place(name, "damaged"))
            self._report_damage(name, "its header can't be read")
            return None
        path.rename(self.place(name, "sealed"))
        stream, output = header
        return Sealed(name, name + output.make().extension, stream, output, recovered=True)

    def _render(self, sealed: Sealed, format: Format) -> Rendered:
        path = self.place(sealed.name, "sealed")
        if not sealed.recovered:
            return render(format, read_lines(path))
        damaged: list[bytes] = []
        rendered = render(format, read_whole_records(path, sealed.stream, damaged))
        if damaged:
            self.drop(self.place(sealed.name, "damaged"))
            self.write_whole(sealed.name, "damaged", b"".join(damaged))
            self._report_damage(sealed.name, f"{sum(map(len, damaged))} bytes of it are no records")
        return rendered

    def _write_output(self, sealed: Sealed, format: Format, rendered: Rendered) -> BufferFile:
        path = self.path / sealed.file_name
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
        self.write_whole(sealed.name, "ready", description_of(file))
        return file

    def _write(self, path: pathlib.Path, body: bytes) -> None:
        before = path.stat().st_size if path.exists() else 0
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            self._quota.add(-before)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        self._quota.add(len(body))

    def _read_description(self, path: pathlib.Path) -> BufferFile:
        return file_of(orjson.loads(path.read_bytes()), self.path)

    def _report_damage(self, name: str, what: str) -> None:
        self.damaged.add(name)
        report(StreamerError(f"a crash damaged the buffer {name}: {what}; see {self.place(name, 'damaged')}"))

    def _remove(self, name: str, state: str) -> None:
        self.drop(self.place(name, state))

    def drop(self, path: pathlib.Path) -> None:
        """Remove a file; one that is gone already is no error."""
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return
        self._quota.add(-size)

    def _unlink(self, name: str, state: str) -> None:
        self.place(name, state).unlink(missing_ok=True)


def description_of(file: BufferFile) -> bytes:
    """Return what is kept of a file beside itself."""
    return orjson.dumps({**file._asdict(), "path": None})


def file_of(description: dict[str, object], folder: pathlib.Path) -> BufferFile:
    """Return the file that a description is of; the folder may have moved since."""
    return BufferFile(**{**description, "path": folder / str(description["file_name"])})  # type: ignore[arg-type]


def _name_of(file: BufferFile) -> str:
    return file.file_name.partition(".")[0]
