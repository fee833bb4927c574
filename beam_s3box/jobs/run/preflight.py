"""What is checked before any work: that input can be read, the destination written, and the run id is free."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.cli.options.reporting import check_report as check_report
from beam_s3box.engine.claims import RunClaim
from beam_s3box.errors import ConfigurationError, ObjectNotFoundError, S3BoxError
from beam_s3box.jobs.options.s3 import reading_settings_of
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.read.files import find_files, format_of
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import S3Store, Store
from beam_s3box.stores.base import check_readable_key
from beam_s3box.stores.s3_check import CHECK_CONNECT_SECONDS, CHECK_READ_SECONDS, CHECK_RETRY
from beam_s3box.transforms.s3_options import credentials_of

_S3_URL = re.compile(r"(s3://[^/]+)/(.*)", re.DOTALL)
_WILDCARD = re.compile(r"[*?\[]")


def check_destination(write: Write, *, bounded: bool) -> None:
    """Raise the error that the run would meet at its destination.

    Args:
      write: what is written.
      bounded: whether the run has an end.

    Raises:
      RunExistsError: the run id, where the user gave one, names a run that wrote manifests.
      StoreError: no such bucket, no right to write, nothing that answers.
    """
    write.store.check_writable()
    if write.is_named:
        layout = Layout.below(write.store.root, write.run_id)
        RunClaim(layout, attempt="", bounded=bounded).check(write.store)


def check_given(patterns: Sequence[str] | None) -> None:
    """Raise ConfigurationError if there is no pattern."""
    if not patterns:
        raise ConfigurationError("--input is missing: say what to read, as --input='data/*.jsonl'")


def check_input(patterns: Sequence[str], options: PipelineOptions) -> None:
    """Raise the error that reading would meet.

    Raises:
      ConfigurationError: a pattern that matches nothing, or a file that can't be read.
    """
    # Beam's own client repeats a request that fails for longer than anybody waits, so ours asks first
    for pattern in patterns:
        if pattern.startswith("s3://"):
            _check_listable(pattern, options)
    _check_readable(find_files(patterns), options)


def check_watched(patterns: Sequence[str], options: PipelineOptions) -> None:
    """Raise the error that watching would meet; that no file is there yet is none.

    Raises:
      ConfigurationError: a bucket that can't be listed, or a folder that is not there.
    """
    for pattern in patterns:
        if pattern.startswith("s3://"):
            _check_listable(pattern, options)
        elif FileSystems.get_scheme(pattern) is None:
            _check_folder(pattern)


def _check_folder(pattern: str) -> None:
    folder = os.path.dirname(_WILDCARD.split(pattern, maxsplit=1)[0]) or "."
    if not (os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)):
        raise ConfigurationError(
            f"--input={pattern!r} can't be watched: {folder!r} is no folder, or its permissions forbid it"
        )


def check_json_lines(patterns: Sequence[str]) -> None:
    """Raise ConfigurationError for files that by their name hold no JSON lines."""
    for pattern in patterns:
        name = format_of(pattern, "auto")
        if name != "jsonl":
            raise ConfigurationError(
                f"--input={pattern!r} names {name} files, and this job reads JSON lines: python -m pipelines.backfill "
                "reads others"
            )


def _check_listable(pattern: str, options: PipelineOptions) -> None:
    match = _S3_URL.fullmatch(pattern)
    if match is None:
        raise ConfigurationError(f"--input={pattern!r} must be s3://bucket/pattern")
    prefix = _WILDCARD.split(match[2], maxsplit=1)[0]
    try:
        next(_quick_store(match[1], options).list(prefix), None)
    except S3BoxError as exc:
        raise ConfigurationError(f"--input={pattern!r} can't be read: {exc}") from exc


def _check_readable(files: Sequence[FileMetadata], options: PipelineOptions) -> None:
    buckets: set[str] = set()
    for file in files:
        match = _S3_URL.fullmatch(file.path)
        if match is None:
            _check_local(file.path)
        elif match[1] not in buckets:
            # one object a bucket: a right to list often comes without one to read, and one to read is for all
            buckets.add(match[1])
            _check_object(match[1], match[2], options)


def _check_local(path: str) -> None:
    if FileSystems.get_scheme(path) is None and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ConfigurationError(f"--input: {path!r} can't be read: it is no file, or its permissions forbid it")


def _check_object(bucket: str, key: str, options: PipelineOptions) -> None:
    try:
        check_readable_key(key)
    except ConfigurationError:
        return  # Beam reads keys that no store here names
    try:
        _quick_store(bucket, options).stat(key)
    except ObjectNotFoundError:
        return  # removed since it was listed: the read itself decides
    except S3BoxError as exc:
        raise ConfigurationError(f"--input='{bucket}/{key}' can't be read: {exc}") from exc


def _quick_store(bucket: str, options: PipelineOptions) -> Store:
    """Return the bucket as Beam will see it, but for few attempts and short timeouts."""
    settings = dataclasses.replace(
        reading_settings_of(options), connect_timeout=CHECK_CONNECT_SECONDS, read_timeout=CHECK_READ_SECONDS
    )
    return S3Store(bucket, settings, credentials_of(options.view_as(S3Options)), CHECK_RETRY)
