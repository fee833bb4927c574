"""S3Box: writes one stream of records as gzip JSON shards, and the manifests that COPY loads, without a pipeline."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from beam_s3box.box.aborts import AGAIN
from beam_s3box.box.manifests import ManifestWriter, check_manifest_count, check_manifest_key
from beam_s3box.box.packer import BoxPacker
from beam_s3box.box.records import RecordReader
from beam_s3box.box.settings import (
    DEFAULT_BUFFER_SIZE,
    DEFAULT_UPLOAD_CONCURRENCY,
    box_credentials,
    box_limits,
    box_s3_settings,
    box_store,
)
from beam_s3box.box.stats import BoxStats
from beam_s3box.engine.commit import OnCommit, announce, commit_of_run
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.plan import WriteSpec
from beam_s3box.engine.run_settings import origin_of
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.formats import Format, encoders_of, format_named, format_of
from beam_s3box.records.long_values import LongValues
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile, size_of
from beam_s3box.stores import S3Settings, Store
from beam_s3box.system.outside import wall_seconds

_LEAVE_SECONDS: Final = 5.0
"""How long a `with` that an exception leaves waits for running uploads, to say what shards exist."""

_SHARDS_SHOWN: Final = 20
"""The most shards that the note on such an exception names."""


class S3Box:
    """Packs records of one stream as gzip JSON shards, uploads them in the background, and writes manifests.

    Takes dicts, and JSON text (`str` or `bytes`) of one object; also dataclasses, NamedTuples and other mappings.
    All methods are thread-safe.

    *Guarantees*: every packed record is in exactly one shard of the manifests. An upload that fails after its retries
    raises at the next `pack`, `pack_many`, `seal` or `create_manifests`, whose record is not packed then; its shard is
    kept, and the next `seal` uploads it again. Memory stays below 2 * buffer_size + 64 MB: `pack` waits while uploads
    are behind (back-pressure). Records are in memory until they are uploaded: a process that ends before `seal` has
    published nothing, and leaves at worst shards that no manifest lists. A box that is dropped like that warns with a
    ResourceWarning, which Python shows with `-W default`.

    *Example*:

        with S3Box("s3://bucket/prefix") as box:
            box.pack({"time": now, "value": "x"})
        manifests = box.create_manifests(count=2)

    An exception that a signal handler raises during a call loses and duplicates nothing: the record of that call is
    packed or not, as `stats` shows, and the box continues; or the box is aborted, and every later call raises
    BoxSealedError. A forked process can't use the boxes of its parent and gets the same error: `next_box()` returns one
    for it. `seal` and `create_manifests` also work at exit, and where no thread can be started.

    Leaving the `with` seals the box. Leaving it by an exception before `seal` was called aborts the box: what is not in
    the store is dropped, no manifest is written then or later, and a note on the exception says what shards exist.

    Args:
      destination: `s3://bucket/prefix`, `file:///folder`, a folder's path, `memory://name`, or a Store.
      bucket: the bucket of a destination on S3, in place of `destination`.
      prefix: the prefix in that bucket.
      buffer_size: bytes of a shard before compression.
      max_object_bytes: bytes of a shard on S3; default: 64 MiB.
      max_records: records of a shard; default: no limit.
      aws_access_key_id: the access key; default: the one that boto3 finds.
      aws_secret_access_key: its secret key: both or neither.
      aws_session_token: the session token of temporary keys.
      region: the region of the bucket; default: the one that boto3 finds.
      endpoint_url: the URL of another server with the S3 protocol.
      s3: more settings of S3.
      format: `"json-lines"`, `"json-array"` (which has no manifests), or a Format such as AvroFormat(schema).
      compression_level: of JSON, from 1 (fastest) to 9 (slowest); default: 4.
      domain: the first part of the stream's name: shards are below `data/{domain}/{namespace}/`.
      namespace: the second part.
      max_record_bytes: bytes of one record, `|` counted twice; default: 4,000,000 with a format that COPY reads.
      long_values: what happens to a text of more than 65,535 bytes, which Redshift can't store, with a format that
        COPY reads: `"reject"` raises RecordError, `"truncate"` cuts it at the end of a character, `"keep"` packs it.
      upload_concurrency: uploads at a time.
      on_commit: a function that takes a Commit, called when the manifests count, or the box without manifests is
        sealed, each time that this is called; if it raises, the call raises NotifyError.

    Raises:
      ConfigurationError: an argument that can't work; names parameter, value, rule and fix.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str] | Store | None = None,
        *,
        bucket: str | None = None,
        prefix: str | None = None,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
        max_object_bytes: int | None = None,
        max_records: int | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        s3: S3Settings | None = None,
        format: str | Format = "json-lines",
        compression_level: int | None = None,
        domain: str = "box",
        namespace: str = "records",
        max_record_bytes: int | None = None,
        long_values: LongValues = "reject",
        upload_concurrency: int = DEFAULT_UPLOAD_CONCURRENCY,
        on_commit: OnCommit | None = None,
    ) -> None:
        credentials = box_credentials(aws_access_key_id, aws_secret_access_key, aws_session_token)
        spec = WriteSpec(
            selector=StreamSelector(domain, namespace),
            format=format_named(format, compression_level),
            limits=box_limits(buffer_size, max_object_bytes, max_records),
            max_record_bytes=max_record_bytes,
            long_values=long_values,
            upload_concurrency=upload_concurrency,
            on_commit=on_commit,
        )
        settings = box_s3_settings(s3, region, endpoint_url)
        self._open(spec, box_store(destination, bucket, prefix, settings, credentials), Stream(domain, namespace))

    def __del__(self) -> None:
        # without a packer, where an argument was refused
        if getattr(self, "_packer", None) is not None and self._packer.is_forgotten:
            warnings.warn(
                f"{self!r} was packed into and never sealed: its records are lost; use it in a 'with', or call seal() "
                "or create_manifests()",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )

    def __repr__(self) -> str:
        return f"S3Box({self._plan.store.root!r}, run_id={self.run_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.seal()
            return
        if not self._packer.is_sealed:
            reason = f"the box was aborted when {type(error).__name__} left its 'with'; {AGAIN}"
            self._packer.abort(reason, _LEAVE_SECONDS)
        error.add_note(self._describe_stored())

    @property
    def stats(self) -> BoxStats:
        """What the box has done so far."""
        return self._packer.stats()

    @property
    def shards(self) -> list[ShardFile]:
        """The shards that are in the store."""
        return self._packer.files

    def url(self, key: str) -> str:
        """Return the URL of a key, such as `create_manifests` returns, for COPY."""
        return self._plan.store.url(key)

    def pack(self, record: Any) -> None:
        """Pack one record; wait while uploads are behind.

        Raises:
          NotAnObjectError: the record is not one JSON object; it is not packed.
          RecordError: an object that Redshift can't load: too large, or with a NUL character.
          BoxSealedError: the box is sealed or aborted.
          StoreError: an earlier upload failed after its retries; this record is not packed, see the class.
        """
        self._add(self._line(record))

    def pack_many(self, rows: Iterable[Any]) -> int:
        r"""Pack records, several times faster than one by one, and return how many.

        JSON lines may end with their line break, as files yield them.

        Raises:
          NotAnObjectError, RecordError, BoxSealedError, StoreError: see `pack`; a note says how many rows before it
            are packed. An exception that `rows` raises gets that note, too.
        """
        packed = offered = 0
        try:
            for lines in self._reader.batches(rows):
                offered = packed + len(lines)
                self._packer.add_many(lines)
                packed = offered
        except BaseException as exc:
            # the packer's own errors mean that it took none of them; other exceptions may have been raised after that
            is_known = offered <= packed or isinstance(exc, S3BoxError)
            more = "no other" if is_known else f"maybe the {offered - packed} after them, but no other"
            exc.add_note(f"pack_many packed the first {packed} row(s) and {more}")
            raise
        return packed

    def seal(self) -> None:
        """Upload everything that is left and take no more records; may be called again, and retries what failed.

        Raises:
          BoxSealedError: the box was aborted.
          StoreError: an upload failed after its retries; its shard is kept for the next call.
        """
        files = self._packer.seal()
        if files and self._plan.manifests is None:
            # without manifests the run is complete
            self._finish([], [(None, files)], files)

    def create_manifests(self, key: str | None = None, count: int = 1) -> list[str]:
        """Seal, distribute the shards evenly, and write `{key}_{i}.manifest` for i from 0; return these keys.

        The same call again returns the same keys. Other arguments are rejected then, because their manifests would list
        the shards a second time.

        Args:
          key: the key of the manifests, relative to the destination; default: `manifests/{run_id}`, which no other box
            uses.
          count: how many manifests; never more than there are shards, none for a box without records.

        Raises:
          ConfigurationError: a key or count that can't work, or other ones than before.
          ObjectExistsError: another box wrote manifests with this key; the shards are safe, and a call with another key
            lists them.
          BoxSealedError, StoreError: see `seal`; the same call again writes what is missing.
        """
        key = f"manifests/{self.run_id}" if key is None else check_manifest_key(key)
        check_manifest_count(count)
        if self._plan.manifests is None:
            raise ConfigurationError(
                f"format={self._plan.format.name!r} has no manifests: COPY can't load rows from it; use "
                "format='json-lines', or seal() alone"
            )
        files = self._packer.seal()
        listed = self._manifests.write(files, key, count)
        manifests = [manifest for manifest, _ in listed]
        if manifests:
            self._finish(manifests, listed, files)
        return [manifest.key for manifest in manifests]

    def next_box(self) -> S3Box:
        """Return a new box with the same settings; this one does not change."""
        box = S3Box.__new__(S3Box)
        box._open(self._spec, self._plan.store, self._stream)
        return box

    def _open(self, spec: WriteSpec, store: Store, stream: Stream) -> None:
        self._spec, self._stream = spec, stream
        plan = spec.plan(store, origin=origin_of("S3Box", spec))
        self._plan = plan = dataclasses.replace(plan, format=format_of(plan.format, stream))
        self.run_id = plan.layout.run_id
        self._reader = RecordReader(plan.selector, plan.rules, encoders_of(plan.format))
        self._packer = BoxPacker(plan, stream)
        self._manifests = ManifestWriter(store)
        self._listed_at = 0.0
        # looked up once: `pack` is called for every record
        self._line, self._add = self._reader.line, self._packer.add

    def _finish(
        self,
        manifests: list[Manifest],
        listed: Sequence[tuple[Manifest | None, list[ShardFile]]],
        files: list[ShardFile],
    ) -> None:
        plan, size = self._plan, size_of(files)
        totals = InputTotals(accepted=size.records)
        self._listed_at = self._listed_at or wall_seconds()  # called again, it writes the same lists
        detail = write_lists(plan.store, plan.layout, listed, totals, self._listed_at)
        plan.claim.finish(plan.store, manifests, size, len(files), detail)
        announce(plan.on_commit, commit_of_run(plan.store, plan.layout, manifests, size, len(files), 0))

    def _describe_stored(self) -> str:
        """Return what a failed box left in the store."""
        urls = [file.url for file in self._packer.files]
        more = f" and {len(urls) - _SHARDS_SHOWN} more" if len(urls) > _SHARDS_SHOWN else ""
        shards = ", ".join(urls[:_SHARDS_SHOWN]) + more if urls else "none"
        if self._manifests.written:
            listed = ", ".join(manifest.key for manifest in self._manifests.written)
            return f"{self!r} had published its manifests before: {listed}; its shards: {shards}"
        return f"{self!r} published nothing; shards that exist and that no manifest lists: {shards}"
