"""Writes many streams to JSON files, sealed by size and time and kept on disk until they are uploaded; without Beam."""

from __future__ import annotations

from beam_s3box.errors import (
    DiskQuotaError,
    FolderInUseError,
    RecordsLostError,
    StreamerClosedError,
    StreamerError,
    StreamNotOpenError,
    UploadsFailedError,
)
from beam_s3box.streamer.events import BufferFile, PendingFile, StreamerStats, UploadEvent
from beam_s3box.streamer.streamer import JsonBufferStreamer
from beam_s3box.streamer.uploader import S3Uploader, StoreUploader

__all__ = [
    "BufferFile",
    "DiskQuotaError",
    "FolderInUseError",
    "JsonBufferStreamer",
    "PendingFile",
    "RecordsLostError",
    "S3Uploader",
    "StoreUploader",
    "StreamNotOpenError",
    "StreamerClosedError",
    "StreamerError",
    "StreamerStats",
    "UploadEvent",
    "UploadsFailedError",
]
