"""From any PCollection to gzip JSON shards on S3, with manifests that Redshift COPY takes as they are.

Names are imported when they are first used: `import beam_s3box` loads neither Beam nor boto3.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beam_s3box.box import S3Box
    from beam_s3box.dead_letters import DeadLetter
    from beam_s3box.errors import (
        BoxSealedError,
        ConfigurationError,
        NotAnObjectError,
        RecordError,
        RunExistsError,
        S3BoxError,
        StoreError,
        StreamerError,
        UploadsFailedError,
    )
    from beam_s3box.limits import StreamLimits
    from beam_s3box.manifests import Manifest, Manifests
    from beam_s3box.shards import ShardFile
    from beam_s3box.sizes import GiB, KiB, MiB
    from beam_s3box.stores.s3_settings import S3Settings
    from beam_s3box.streamer import BufferFile, JsonBufferStreamer, S3Uploader
    from beam_s3box.streams import Stream
    from beam_s3box.transforms.write import WriteToS3Box, WriteToS3BoxResult

__version__ = "0.1.0"

_HOMES = {
    "BoxSealedError": "errors",
    "BufferFile": "streamer",
    "ConfigurationError": "errors",
    "DeadLetter": "dead_letters",
    "GiB": "sizes",
    "JsonBufferStreamer": "streamer",
    "KiB": "sizes",
    "Manifest": "manifests",
    "Manifests": "manifests",
    "MiB": "sizes",
    "NotAnObjectError": "errors",
    "RecordError": "errors",
    "RunExistsError": "errors",
    "S3Box": "box",
    "S3BoxError": "errors",
    "S3Settings": "stores.s3_settings",
    "S3Uploader": "streamer",
    "ShardFile": "shards",
    "StoreError": "errors",
    "Stream": "streams",
    "StreamLimits": "limits",
    "StreamerError": "errors",
    "UploadsFailedError": "errors",
    "WriteToS3Box": "transforms",
    "WriteToS3BoxResult": "transforms",
}

__all__ = [
    "BoxSealedError",
    "BufferFile",
    "ConfigurationError",
    "DeadLetter",
    "GiB",
    "JsonBufferStreamer",
    "KiB",
    "Manifest",
    "Manifests",
    "MiB",
    "NotAnObjectError",
    "RecordError",
    "RunExistsError",
    "S3Box",
    "S3BoxError",
    "S3Settings",
    "S3Uploader",
    "ShardFile",
    "StoreError",
    "Stream",
    "StreamLimits",
    "StreamerError",
    "UploadsFailedError",
    "WriteToS3Box",
    "WriteToS3BoxResult",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'beam_s3box' has no attribute {name!r}")
    return getattr(importlib.import_module(f"beam_s3box.{_HOMES[name]}"), name)
