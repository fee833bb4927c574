"""Many streams at once, buffered on disk, uploaded when a size or time limit is met; nothing acknowledged is lost."""

from __future__ import annotations

import os
import pathlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from beam_s3box.errors import ConfigurationError, StoreError, StreamerClosedError, StreamerError, StreamNotOpenError
from beam_s3box.limits import StreamLimits
from beam_s3box.manifests import Manifest, Manifests
from beam_s3box.metrics import OBJECT_BYTES, RECORDS_LISTED, SHARDS
from beam_s3box.records import record_rules
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer.checks import DEFAULT_SIZE_LIMIT, DEFAULT_TIME_LIMIT, check_arguments, checked_limits
from beam_s3box.streamer.events import BufferFile, PendingFile, StreamerStats, UploadEvent
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.journal import check_durability
from beam_s3box.streamer.listings import Listings, check_listable
from beam_s3box.streamer.lock import FolderLock
from beam_s3box.streamer.outbox import CALLBACK_ERRORS, FAILED_ATTEMPTS, Outbox
from beam_s3box.streamer.output import Output
from beam_s3box.streamer.problems import uploads_failed
from beam_s3box.streamer.quota import DiskQuota
from beam_s3box.streamer.scheduler import Scheduler
from beam_s3box.streamer.stream import OpenStream
from beam_s3box.streamer.uploader import AnyUploader, check_answer, upload_function
from beam_s3box.streams import Stream

RETRY = Retry(base_seconds=2.0, cap_seconds=300.0)
"""Waits between attempts at one file; the uploader's own retries come before the first."""


class JsonBufferStreamer:
    """Buffers JSON records of many streams in local files and uploads each file once. Safe from many threads.

    Making one locks the folder and uploads what an earlier process left there.

    Guarantees: a record whose `append` returned is in exactly one uploaded file, also when the process is killed at
    any moment and another streamer is started on the folder; see `durability` for what else it survives. A record
    whose `append` raised is in none, except when a sync failed. An upload never makes an append wait.

    Args:
      uploader: an object with `upload(file)`, such as `S3Uploader`, or a function of the file; see `BufferFile`. It
        raises, or returns False, for failure. After a crash it may get the same `file_name` again.
      files_path: a local folder for the buffers, made if it is not there; one streamer at a time has it.
      on_upload: told of each attempt, on the thread of the upload. What it raises goes to `threading.excepthook`.
      scheduler_interval: seconds between looks at time limits and failed uploads; 0: none are taken, call
        `run_scheduled` for one.
      format: "json-array" or "json-lines".
      compression: "none" or "gzip".
      manifests: for Redshift: how many `write_manifests` writes; None for none. Records that Redshift can't load are
        refused then.
      durability: what a record survives once `append` returned: "memory": nothing but a shut-down in order; "os": the
        end of the process, however it ends; "fsync": also that of the machine.
      max_disk_bytes: `append` raises rather than use more; None for no limit. A file that is being finished takes its
        size in addition, and each finished one about 300 bytes for its description.
      upload_threads: files that are uploaded at the same time.
      clock: seconds, never going back.
      retry: waits between attempts; they never end.

    Raises:
      ConfigurationError: an argument can't work.
      FolderInUseError: another streamer has the folder.
    """

    def __init__(
        self,
        uploader: AnyUploader,
        files_path: str | os.PathLike[str],
        on_upload: Callable[[UploadEvent], object] | None = None,
        scheduler_interval: float = 5.0,
        *,
        format: str = "json-array",
        compression: str = "none",
        manifests: Manifests | None = None,
        durability: str = "os",
        max_disk_bytes: int | None = None,
        upload_threads: int = 4,
        clock: Callable[[], float] = time.monotonic,
        retry: Retry = RETRY,
    ) -> None:
        self._upload = upload_function(uploader)
        self._output = Output(format, compression)
        self._output.make()
        self._durability = check_durability(durability)
        check_arguments(on_upload, scheduler_interval, max_disk_bytes, upload_threads)
        self._rules = record_rules(for_redshift=manifests is not None)
        self._quota = DiskQuota(max_disk_bytes)
        self._folder = Folder(pathlib.Path(os.path.abspath(files_path)), self._quota)
        self._listings: Listings | None = None
        if manifests is not None:
            self._listings = Listings(manifests, check_listable(manifests, uploader, self._output), self._folder)
        self._clock = clock
        self._outbox = Outbox(self._folder.finish, self._deliver, on_upload, clock, retry, upload_threads)
        self._streams: dict[tuple[str, str], OpenStream] = {}
        self._guard = threading.Lock()
        self._listing_guard = threading.Lock()
        self._closed_records = 0
        self._shut_down = False
        self._process = os.getpid()
        self._lock = self._take_folder()
        self._scheduler = Scheduler(scheduler_interval, self.run_scheduled) if scheduler_interval else None

    def __repr__(self) -> str:
        return f"JsonBufferStreamer(files_path={str(self._folder.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut down; raise UploadsFailedError if something remains and no other error is on its way."""
        remaining = self.shut_down()
        if remaining and error is None:
            raise uploads_failed(remaining, str(self._folder.path))

    def open(
        self,
        domain: str,
        namespace: str,
        size_limit: int = DEFAULT_SIZE_LIMIT,
        time_limit: float | None = DEFAULT_TIME_LIMIT,
    ) -> None:
        """Open a stream; one that is open with the same limits stays as it is.

        Args:
          domain: text that is not empty.
          namespace: the same.
          size_limit: bytes of a file before compression; only a record that is larger by itself exceeds it.
          time_limit: seconds from a file's first record; 0 or None for no limit.

        Raises:
          ConfigurationError: a name or limit can't work, or the stream is open with other limits.
          StreamerClosedError: the streamer is shut down.
        """
        limits = checked_limits(size_limit, time_limit)
        stream = Stream(domain, namespace)
        with self._guard:
            self._check_open()
            found = self._streams.get(stream)
            if found is None:
                self._streams[stream] = self._make(stream, limits)
            elif found.limits != limits:
                raise ConfigurationError(
                    f"size_limit={size_limit}, time_limit={time_limit}: the stream {stream} is open with "
                    f"size_limit={found.limits.raw_bytes}, time_limit={found.limits.seconds}; close it first"
                )

    def append(self, domain: str, namespace: str, record: Any) -> None:
        """Add a record to an open stream; when this returns, it is as safe as `durability` says.

        Args:
          domain: of the stream.
          namespace: of the stream.
          record: a dict, a dataclass, a NamedTuple, or JSON text of one object.

        Raises:
          RecordError: it is none of these.
          StreamNotOpenError, StreamerClosedError: the stream does not take records.
          DiskQuotaError: `max_disk_bytes` is reached.
          StreamerError: the buffer can't be written.
        """
        stream = self._streams.get((domain, namespace))
        if stream is None or self._process != os.getpid():
            stream = self._find(domain, namespace)
        stream.append(record)

    def flush(self, timeout: float | None = None) -> None:
        """Upload what is buffered now, in all streams, and wait.

        Args:
          timeout: seconds to wait at the most; None for as long as it takes.

        Raises:
          UploadsFailedError: after all were tried; names each stream with a file that is not uploaded.
        """
        self._outbox.refuse_own_threads()
        with self._guard:
            self._check_open()
            streams = list(self._streams.values())
        left = self._seal_all(streams, OpenStream.seal) + self._outbox.drain(None, timeout)
        if left:
            raise uploads_failed(left, str(self._folder.path))

    def close(self, domain: str, namespace: str, timeout: float | None = None) -> None:
        """Flush one stream and take no more records for it; it is closed also when the upload fails.

        Raises:
          StreamNotOpenError: it is not open.
          UploadsFailedError: a file is not uploaded; it stays and is tried again.
        """
        self._outbox.refuse_own_threads()
        stream = self._find(domain, namespace)
        stream.close()
        self._forget([stream])
        left = self._outbox.drain(stream.stream, timeout)
        if left:
            raise uploads_failed(left, str(self._folder.path))

    def shut_down(self, timeout: float | None = None) -> tuple[PendingFile, ...]:
        """Take no more records, try to upload everything once, and return what remains for the next streamer.

        Twice is harmless. The folder is free when this returns, or, after a timeout, when the last upload ends.

        Args:
          timeout: seconds to wait for uploads; None for as long as one attempt at each takes.
        """
        self._outbox.refuse_own_threads()
        with self._guard:
            self._check_process()
            self._shut_down = True
            streams = list(self._streams.values())
        if self._scheduler is not None:
            self._scheduler.stop()
        unsealed = self._seal_all(streams, OpenStream.close)
        self._forget(streams)
        left = self._outbox.drain(None, timeout)
        self._outbox.stop(self._lock.release)
        return (*unsealed, *left)

    def write_manifests(self) -> list[Manifest]:
        """Write manifests of the files that are uploaded and in none yet; call `flush` before, to have all in.

        Raises:
          ConfigurationError: the streamer was made without `manifests`.
          StoreError: the store failed; the next call goes on with the same manifests.
        """
        if self._listings is None:
            raise ConfigurationError("manifests=None: give manifests=Manifests() to the streamer to have any")
        with self._listing_guard:
            self._check_open()
            return self._listings.write()

    def run_scheduled(self) -> None:
        """Do once what the scheduler does: seal what is over its time limit, try failed uploads that have waited."""
        with self._guard:
            self._check_process()
            streams = list(self._streams.values())
        failed = self._seal_all(streams, OpenStream.seal_old)
        self._outbox.retry_due()
        if failed:
            raise uploads_failed(failed, str(self._folder.path))

    @property
    def stats(self) -> StreamerStats:
        """What was done so far, and what waits."""
        with self._guard:
            streams = list(self._streams.values())
            records = self._closed_records + sum(stream.records for stream in streams)
        counts = self._outbox.counts.totals()
        return StreamerStats(
            open_streams=len(streams),
            records=records,
            uploaded_files=counts.get(SHARDS, 0),
            uploaded_records=counts.get(RECORDS_LISTED, 0),
            uploaded_bytes=counts.get(OBJECT_BYTES, 0),
            failed_attempts=counts.get(FAILED_ATTEMPTS, 0),
            pending=tuple(self._outbox.pending()),
            disk_bytes=self._quota.used,
            unlisted_files=len(self._folder.unlisted()),
            damaged_files=len(self._folder.damaged),
            callback_errors=counts.get(CALLBACK_ERRORS, 0),
        )

    def _take_folder(self) -> FolderLock:
        path = self._folder.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(path / "lock")
        except OSError as exc:
            raise ConfigurationError(f"files_path={str(path)!r} can't be used: {exc.strerror}") from exc
        try:
            for sealed in self._folder.recover():
                self._outbox.add(sealed)
        except BaseException:
            self._outbox.stop(lock.release)
            raise
        return lock

    def _make(self, stream: Stream, limits: StreamLimits) -> OpenStream:
        return OpenStream(
            stream,
            limits,
            rules=self._rules,
            folder=self._folder,
            quota=self._quota,
            output=self._output,
            durability=self._durability,
            clock=self._clock,
            sealed=self._outbox.add,
        )

    def _deliver(self, file: BufferFile) -> None:
        check_answer(self._upload(file))
        self._folder.forget(file, keep_listed=self._listings is not None)

    @staticmethod
    def _seal_all(streams: list[OpenStream], seal: Callable[[OpenStream], None]) -> list[PendingFile]:
        """Seal each stream, and return what could not be."""
        failed = []
        for stream in streams:
            try:
                seal(stream)
            except (StreamerError, StoreError, OSError) as exc:
                failed.append(PendingFile("", *stream.stream, 0, f"{type(exc).__name__}: {exc}"))
        return failed

    def _find(self, domain: str, namespace: str) -> OpenStream:
        with self._guard:
            self._check_open()
            stream = self._streams.get((domain, namespace))
        if stream is None:
            raise StreamNotOpenError(
                f"the stream {Stream(domain, namespace)} is not open: call open({domain!r}, {namespace!r}) first"
            )
        return stream

    def _forget(self, streams: list[OpenStream]) -> None:
        with self._guard:
            for stream in streams:
                if self._streams.get(stream.stream) is stream:
                    del self._streams[stream.stream]
                    self._closed_records += stream.records

    def _check_open(self) -> None:
        self._check_process()
        if self._shut_down:
            raise StreamerClosedError(f"the streamer on {self._folder.path} is shut down")

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise StreamerClosedError(
                f"the streamer on {self._folder.path} belongs to process {self._process}: make another one, on another "
                "folder, in a forked process"
            )
