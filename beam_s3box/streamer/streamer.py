"""Buffers many streams on disk and uploads them when a limit is reached; loses no acknowledged record."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from beam_s3box.engine.manifests import Manifest, Manifests
from beam_s3box.errors import ConfigurationError, StreamerClosedError
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.streams import Stream
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer.checks import (
    DEFAULT_RETRY,
    DEFAULT_SIZE_LIMIT,
    DEFAULT_TIME_LIMIT,
    check_arguments,
    checked_limits,
    checked_path,
)
from beam_s3box.streamer.events import PendingFile, StreamerStats, UploadEvent
from beam_s3box.streamer.flushing import flush_streams, seal_all
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.in_flight import InFlightUploads
from beam_s3box.streamer.journal import check_durability
from beam_s3box.streamer.life import Life
from beam_s3box.streamer.manifest_journal import ManifestJournal, check_listable
from beam_s3box.streamer.open_streams import OpenStreams
from beam_s3box.streamer.output import checked_output
from beam_s3box.streamer.quota import DiskQuota
from beam_s3box.streamer.recovery import recover_files
from beam_s3box.streamer.remaining import Remaining
from beam_s3box.streamer.scheduler import Scheduler
from beam_s3box.streamer.sealed_buffer import SealedBuffer
from beam_s3box.streamer.stats import stats_of
from beam_s3box.streamer.stream import OpenStream
from beam_s3box.streamer.uploader import AnyUploader, as_store_uploader, check_return_value, upload_function, urls_of
from beam_s3box.system import outside


class JsonBufferStreamer:
    """Buffers JSON records of many streams in local files and uploads each file once. Safe from many threads.

    The constructor locks the folder and starts to upload what an earlier process left there.

    *Guarantees*: a record whose `append` returned is in exactly one uploaded file, also if the process is killed at
    any moment and another streamer is started on the folder; see `durability` for what else it survives. A record
    whose `append` raised is in no file, except when a sync failed. Appends never wait for uploads.

    Args:
      uploader: an object with `upload(file)`, such as `S3Uploader`, or a function of the file; see `BufferFile`. It
        raises, or returns False, for failure. After a crash it may get the same `file_name` again.
      files_path: a local folder for the buffers, created if it does not exist; for one streamer at a time.
      on_upload: called after each attempt, on the thread of the upload, which is that of `flush`, `close` or
        `shut_down` where no thread can be started. What it raises is passed to `threading.excepthook`.
      scheduler_interval: seconds between checks of time limits and failed uploads; 0 for none: call `run_scheduled`.
      format: "json-array" or "json-lines".
      compression: "none" or "gzip".
      manifests: for Redshift: which manifests `write_manifests` writes; None for none. With manifests, records that
        Redshift can't load are rejected.
      durability: what a record survives once `append` returned: "memory": only an orderly shut-down; "os": the end of
        the process, however it ends; "fsync": also a crash of the machine.
      max_disk_bytes: `append` raises rather than exceed it; None for the space of the disk. A buffer counts about twice
        until it is finished, which takes that room. What an earlier process left may be more.
      upload_threads: files that are uploaded at the same time.
      clock: returns seconds, monotonic.
      retry: pauses between attempts, which never end.

    Raises:
      ConfigurationError: an argument can't work.
      FolderInUseError: another streamer uses the folder.
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
        clock: Callable[[], float] = outside.steady_seconds,
        retry: Retry = DEFAULT_RETRY,
    ) -> None:
        self._upload = upload_function(uploader)
        self._output = checked_output(format, compression, listed=manifests is not None)
        durability = check_durability(durability)
        check_arguments(on_upload, scheduler_interval, max_disk_bytes, upload_threads, clock, retry)
        path = checked_path(files_path)
        listable = None if manifests is None else check_listable(manifests, uploader, self._output)
        known = listable or as_store_uploader(uploader)
        self._folder = folder = Folder(path, DiskQuota(path, max_disk_bytes), urls_of(known))
        self._life = Life(known, folder.lock, output=self._output, manifests=manifests, durability=durability)
        self._manifests = ManifestJournal(manifests, listable, folder, self._life) if manifests and listable else None
        self._uploads = InFlightUploads(self._upload_buffer, on_upload, clock, retry, upload_threads)
        new_stream = functools.partial(
            OpenStream,
            rules=record_rules(for_redshift=manifests is not None),
            folder=folder,
            output=self._output,
            durability=durability,
            clock=clock,
            hand_over=self._uploads.add,
        )
        self._streams = OpenStreams(new_stream, self._check_open)
        self._shut_down = False
        self._unsealed: tuple[PendingFile, ...] = ()
        self._process = os.getpid()
        self._lock = folder.lock
        try:
            self._lock_folder()
            self._scheduler = Scheduler(scheduler_interval, self.run_scheduled) if scheduler_interval else None
        except BaseException:
            self._uploads.stop(self._lock.release)
            raise

    def __repr__(self) -> str:
        return f"JsonBufferStreamer(files_path={str(self._folder.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut down; raise UploadsFailedError if something remains, unless another error is being raised."""
        if error is not None and self._process != os.getpid():
            return  # a forked process that ends: the streamer belongs to its parent
        remaining = Remaining((), self.shut_down())
        if error is None:
            remaining.check(self._folder.path)

    def open(
        self,
        domain: str,
        namespace: str,
        size_limit: int = DEFAULT_SIZE_LIMIT,
        time_limit: float | None = DEFAULT_TIME_LIMIT,
    ) -> None:
        """Open a stream; nothing changes if it is open with the same limits.

        Args:
          domain: the first name of the stream, not empty.
          namespace: the second one, likewise.
          size_limit: bytes of a file before compression; only a single record that is larger exceeds it.
          time_limit: seconds since the first record of a file; 0 or None for no limit.

        Raises:
          ConfigurationError: a name or limit can't work, or the stream is open with other limits.
          StreamerClosedError: the streamer is shut down.
        """
        self._check_open()
        self._streams.open(Stream(domain, namespace), checked_limits(size_limit, time_limit))

    def append(self, domain: str, namespace: str, record: Any) -> None:
        """Add a record to an open stream; when this returns, it is as safe as `durability` says.

        Args:
          domain: the first name of the stream.
          namespace: the second one.
          record: a dict, a dataclass, a NamedTuple, or JSON text of one object.

        Raises:
          RecordError: it is none of these.
          StreamNotOpenError, StreamerClosedError: the stream does not take records.
          DiskQuotaError: `max_disk_bytes` is reached, or the disk is full.
          StreamerError: the buffer can't be written.
        """
        stream = self._streams.get(domain, namespace)
        if stream is None or self._process != os.getpid():
            stream = self._streams.find(domain, namespace)
        stream.append(record)

    def flush(self, timeout: float | None = None) -> None:
        """Upload what is buffered now, in all streams, and wait.

        Args:
          timeout: the most seconds to wait; None for no limit.

        Raises:
          UploadsFailedError: raised after all were tried; names each stream with a file that is not uploaded.
        """
        self._check_open()
        streams = self._streams.all()
        flush_streams(self._uploads, streams, OpenStream.seal, None, timeout).check(self._folder.path)

    def close(self, domain: str, namespace: str, timeout: float | None = None) -> None:
        """Flush one stream and take no more records for it; it is also closed when the upload fails.

        Raises:
          StreamNotOpenError: it is not open.
          UploadsFailedError: a file is not uploaded; it is kept and retried.
          StreamerError: the buffer can't be written; the stream takes no more records, and `close` may be called again.
        """
        self._check_open()
        stream = self._streams.find(domain, namespace)
        left = flush_streams(self._uploads, [stream], OpenStream.close, stream.stream, timeout)
        if not left.unsealed:
            self._streams.remove([stream])
        left.check(self._folder.path)

    def shut_down(self, timeout: float | None = None) -> tuple[PendingFile, ...]:
        """Take no more records, try to upload everything once, and return what remains for the next streamer.

        May be called again, and should be after an exception interrupted it. The folder is unlocked when this returns,
        or, after a timeout, when the last upload ends; or, while records are only in memory because the disk is full,
        when a later call has written them.

        Args:
          timeout: the most seconds to wait for uploads; None for as long as one attempt at each takes.
        """
        self._check_process()
        self._uploads.refuse_own_threads()
        self._shut_down = True
        if self._scheduler is not None:
            self._scheduler.stop()
        streams = self._streams.all()
        left = flush_streams(self._uploads, streams, OpenStream.close, None, timeout)
        if streams:
            self._unsealed = left.unsealed
        if not left.in_memory:
            for stream in streams:
                stream.abandon()
            self._streams.remove(streams)
            if not left.pending and not self._unsealed:
                self._life.end(timeout)
            self._uploads.stop(self._release_folder)
        return (*self._unsealed, *left.pending)

    def write_manifests(self) -> list[Manifest]:
        """Write manifests of the files that are uploaded and in none yet; call `flush` first to include all records.

        Raises:
          ConfigurationError: the streamer has no `manifests`.
          StoreError: the store failed; the next call continues with the same manifests.
        """
        self._check_open()
        if self._manifests is None:
            raise ConfigurationError("manifests=None: give manifests=Manifests() to the streamer to write manifests")
        return self._manifests.write(self._check_open)

    def run_scheduled(self) -> None:
        """Do once what the scheduler does: seal what is over its time limit, retry failed uploads that are due."""
        self._check_process()
        failed = seal_all(self._streams.all(), OpenStream.seal_old)
        self._uploads.retry_due()
        Remaining(failed, ()).check(self._folder.path)

    @property
    def stats(self) -> StreamerStats:
        """What was done so far, and what is pending; without locks and I/O, so that it never waits or raises."""
        return stats_of(self._streams, self._uploads, self._folder)

    def _lock_folder(self) -> None:
        path = self._folder.path
        try:
            os.makedirs(path, exist_ok=True)
            self._lock.acquire()
            for sealed in recover_files(self._folder, self._manifests, self._output):
                self._uploads.add(sealed)
        except OSError as exc:
            raise ConfigurationError(f"files_path={str(path)!r} can't be used: {exc.strerror}") from exc

    def _upload_buffer(self, sealed: SealedBuffer) -> None:
        """Finish, upload and remove a buffer; an attempt after a failed one begins with the step that failed."""
        if not sealed.uploaded:
            file = self._folder.finish(sealed)
            if file is not None:
                check_return_value(self._upload(file))
            sealed.uploaded = True
            self._life.note(file)
        self._folder.mark_uploaded(sealed)

    def _release_folder(self) -> None:
        """Unlock the folder, when no manifest is being written."""
        if self._manifests is not None:
            self._manifests.when_idle(self._lock.release)
        else:
            self._lock.release()

    def _check_open(self) -> None:
        self._check_process()
        if self._shut_down:
            raise StreamerClosedError(f"the streamer on {self._folder.path} is shut down")

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise StreamerClosedError(
                f"the streamer on {self._folder.path} belongs to process {self._process}: in a forked process create "
                "another one, on another folder"
            )
