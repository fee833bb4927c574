"""What is checked before any work: that input can be read, the destination written, and the run id is free."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_totals import RunInput
from beam_s3box.errors import ConfigurationError, ObjectNotFoundError, S3BoxError, StoreError
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.read.find import FoundInput, bucket_of, find_input
from beam_s3box.jobs.read.input_files import S3Access, opened, s3_access_of
from beam_s3box.records.contents import HEAD_BYTES, check_may_be_empty, contents_of, documents_note, skipped_note
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import S3Store
from beam_s3box.stores.s3_check import CHECK_CONNECT_SECONDS, CHECK_READ_SECONDS, CHECK_RETRY
from beam_s3box.system.globs import Glob, no_match
from beam_s3box.system.local_files import check_permitted

_LOGGER = logging.getLogger(__name__)

_MOST_ASKED: Final = 50
"""Objects whose first bytes are read before the work begins."""


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


class Checked(NamedTuple):
    """Input that can be read.

    Attributes:
      input: number and bytes of all files.
      kinds: what they hold, as far as they were looked into.
    """

    input: RunInput
    kinds: frozenset[str]


def check_input(patterns: Sequence[str], options: PipelineOptions, input_format: str = "auto") -> Checked:
    """Return what the input is, after checks of what reading would meet; log what is not as its name says.

    Raises:
      ConfigurationError: a pattern that matches nothing, or a file that can't be read.
    """
    # few attempts and short timeouts here, as nobody waits for more
    access = _quick_access(options)
    for pattern in patterns:
        if pattern.startswith("s3://"):
            _check_listable(pattern, access)
    skipped: list[str] = []
    files = list(find_input(patterns, access, skipped=skipped.append))
    if not files:
        raise ConfigurationError(f"input: {skipped_note(skipped)}")
    if skipped:
        _LOGGER.info(skipped_note(skipped))
    kinds = [(file.path, _kind_of(file, access, input_format)) for file in _some_of(files)]
    documents = [path for path, kind in kinds if kind == "json"]
    if documents and input_format == "auto":
        _LOGGER.info(documents_note(documents))
    found = RunInput(files=len(files), bytes=sum(file.size for file in files))
    return Checked(found, frozenset(kind for _, kind in kinds if kind))


def _some_of(files: Sequence[FoundInput]) -> Iterator[FoundInput]:
    """Yield the files to look into: all but those of a very long list of objects, each of which is a request."""
    asked = 0
    for file in files:
        is_object = FileSystems.get_scheme(file.path) is not None
        asked += is_object
        if not is_object or asked <= _MOST_ASKED:
            yield file


def _kind_of(file: FoundInput, access: S3Access, input_format: str) -> str:
    _check_local(file.path)
    if not file.size:
        check_may_be_empty(file.path, input_format)
        return ""
    try:
        with opened(file.path, access, file.version) as opened_file:
            return contents_of(opened_file, file.path, input_format, HEAD_BYTES).kind
    except ObjectNotFoundError:
        return ""  # removed since it was listed: the read itself decides
    except StoreError as exc:
        raise ConfigurationError(f"--input={file.path!r} can't be read: {exc}") from exc


def check_watched(patterns: Sequence[str], options: PipelineOptions) -> None:
    """Raise the error that watching would meet; that no file exists yet is no error.

    Raises:
      ConfigurationError: a bucket that can't be listed, or a folder that is not there.
    """
    access = _quick_access(options)
    for pattern in patterns:
        if pattern.startswith("s3://"):
            _check_listable(pattern, access)
        elif FileSystems.get_scheme(pattern) is None:
            _check_folder(pattern)


def tell_matches(patterns: Sequence[str], access: S3Access) -> None:
    """Say how many files match now; more may come, but none may mean that a pattern is wrong."""
    count = sum(1 for _ in find_input(patterns, access, must_match=False, refused=lambda error: None))
    _LOGGER.info("files that match --input now: %s", f"{count:,}" if count else "none; waiting for the first")


def _check_folder(pattern: str) -> None:
    if os.path.isdir(pattern):
        raise no_match(pattern, is_folder=True)
    folder = os.path.dirname(Glob.of(pattern).base) or "."
    if not (os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)):
        raise ConfigurationError(
            f"--input={pattern!r} can't be watched: {folder!r} is no folder, or its permissions forbid it"
        )


def _check_listable(pattern: str, access: S3Access) -> None:
    bucket, keys = bucket_of(pattern)
    try:
        next(S3Store(f"s3://{bucket}", *access).list(Glob.of(keys).prefix), None)
    except S3BoxError as exc:
        raise ConfigurationError(f"--input={pattern!r} can't be read: {exc}") from exc


def _check_local(path: str) -> None:
    if FileSystems.get_scheme(path) is None:
        check_permitted(path)


def _quick_access(options: PipelineOptions) -> S3Access:
    settings, credentials = s3_access_of(options)
    quick = dataclasses.replace(
        settings,
        connect_timeout=CHECK_CONNECT_SECONDS,
        read_timeout=CHECK_READ_SECONDS,
        max_attempts=CHECK_RETRY.max_attempts,
        retry_seconds=CHECK_RETRY.seconds,
    )
    return S3Access(quick, credentials)
