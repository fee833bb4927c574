"""The stats of a streamer, taken without a lock."""

from __future__ import annotations

from beam_s3box.streamer.events import StreamerStats
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.in_flight import InFlightUploads
from beam_s3box.streamer.open_streams import OpenStreams


def stats_of(streams: OpenStreams, uploads: InFlightUploads, folder: Folder) -> StreamerStats:
    """Return what a streamer has done so far, and what is pending."""
    open_streams, records = streams.with_records()
    counts = uploads.counts
    return StreamerStats(
        open_streams=len(open_streams),
        records=records,
        uploaded_files=counts.files,
        uploaded_records=counts.records,
        uploaded_bytes=counts.size,
        failed_attempts=counts.failed_attempts,
        pending=tuple(uploads.pending()),
        disk_bytes=folder.quota.used + sum(stream.open_bytes for stream in open_streams),
        unlisted_files=len(folder.uploaded),
        damaged_files=len(folder.damaged),
        callback_errors=counts.callback_errors,
        lost_records=counts.lost_records,
    )
