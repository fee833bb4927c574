"""Checks the arguments of a streamer."""

from __future__ import annotations

import os
import pathlib

from beam_s3box.checks import check_type, check_whole, wrong_type
from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.limits import MAX_OBJECT_BYTES, StreamLimits
from beam_s3box.stores.retries import RETRY_EXAMPLE, Retry

DEFAULT_SIZE_LIMIT = 100_000
"""Bytes of a file before compression."""

DEFAULT_TIME_LIMIT = 60.0
"""Seconds."""

DEFAULT_RETRY = Retry(base_seconds=2.0, cap_seconds=300.0)
"""Pauses between attempts at one file; the retries of the uploader itself come first."""


def checked_limits(size_limit: int, time_limit: float | None) -> StreamLimits:
    """Return the limits of a stream; raise ConfigurationError if they can't work."""
    if isinstance(size_limit, bool) or not isinstance(size_limit, int) or not 1 <= size_limit <= MAX_OBJECT_BYTES:
        raise ConfigurationError(f"size_limit={size_limit!r} must be a whole number of bytes from 1 to 1 GiB")
    try:
        return StreamLimits(MAX_OBJECT_BYTES, max_raw_bytes=size_limit, max_seconds=time_limit or None)
    except ConfigurationError as exc:
        raise ConfigurationError(f"time_limit={time_limit!r} must be a number of seconds; 0 for no limit") from exc


def check_arguments(
    on_upload: object,
    scheduler_interval: object,
    max_disk_bytes: object,
    upload_threads: object,
    clock: object,
    retry: object,
) -> None:
    """Raise ConfigurationError if one of a streamer's arguments can't work."""
    if on_upload is not None and not callable(on_upload):
        raise ConfigurationError(f"on_upload={on_upload!r} must be a function of an UploadEvent, or None")
    if not _is_number(scheduler_interval, float) or not 0 <= scheduler_interval < float("inf"):  # type: ignore[operator]
        raise ConfigurationError(f"scheduler_interval={scheduler_interval!r} must be a number of seconds; 0 for none")
    if max_disk_bytes is not None and not (_is_number(max_disk_bytes, int) and max_disk_bytes >= 1):  # type: ignore[operator]
        raise ConfigurationError(f"max_disk_bytes={max_disk_bytes!r} must be a whole number of bytes, or None")
    check_whole("upload_threads", upload_threads, 1, 256)
    if not callable(clock):
        raise ConfigurationError(f"clock={clock!r} must be a function without arguments, such as time.monotonic")
    check_type("retry", retry, Retry, RETRY_EXAMPLE)


def checked_path(files_path: object) -> pathlib.Path:
    """Return the absolute path; raise ConfigurationError if it is none."""
    if not isinstance(files_path, str | os.PathLike):
        raise wrong_type("files_path", files_path, "a path", "'/var/lib/buffers'")
    return pathlib.Path(os.path.abspath(files_path))


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind | int) and not isinstance(value, bool)
