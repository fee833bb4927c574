"""From any PCollection to gzip JSON shards on S3, with manifests that Redshift COPY takes as they are.

Names are imported when they are first used: `import beam_s3box` loads neither Beam nor boto3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beam_s3box.system.lazy import lazy_names

if TYPE_CHECKING:
    from beam_s3box.box import S3Box
    from beam_s3box.engine.commit import Commit
    from beam_s3box.engine.dead_letters import DeadLetter
    from beam_s3box.engine.manifests import Manifest, Manifests
    from beam_s3box.errors import (
        BoxSealedError,
        ConfigurationError,
        CopyError,
        DeadLettersError,
        KeyValuesError,
        LoadError,
        ManifestReplacedError,
        NotAnObjectError,
        NotifyError,
        RecordError,
        RowCountError,
        RunExistsError,
        S3BoxError,
        StoreError,
        StreamerError,
        TransientLoadError,
        UploadsFailedError,
    )
    from beam_s3box.formats.avro.format import AvroFormat
    from beam_s3box.formats.avro.inference import avro_schema_of
    from beam_s3box.notify.notifier import Notifier
    from beam_s3box.records.streams import Stream
    from beam_s3box.redshift.client.connections import RedshiftConnection
    from beam_s3box.redshift.client.data_api import RedshiftDataApi
    from beam_s3box.redshift.load.loader import RedshiftLoader
    from beam_s3box.redshift.load.plan import LoadResult
    from beam_s3box.redshift.load.table_loads import LoadFailure
    from beam_s3box.shards.limits import StreamLimits
    from beam_s3box.shards.model import ShardFile
    from beam_s3box.sizes import GiB, KiB, MiB
    from beam_s3box.stores.s3_settings import S3Settings
    from beam_s3box.streamer import BufferFile, JsonBufferStreamer, S3Uploader
    from beam_s3box.transforms.redshift import CopyToRedshift, CopyToRedshiftResult
    from beam_s3box.transforms.result import WriteToS3BoxResult
    from beam_s3box.transforms.tuning import Tuning
    from beam_s3box.transforms.write import WriteToS3Box

__version__ = "0.1.0"

_HOMES = {
    "AvroFormat": "formats.avro.format",
    "BoxSealedError": "errors",
    "BufferFile": "streamer",
    "ConfigurationError": "errors",
    "Commit": "engine.commit",
    "CopyError": "errors",
    "CopyToRedshift": "transforms.redshift",
    "CopyToRedshiftResult": "transforms.redshift",
    "RedshiftDataApi": "redshift.client.data_api",
    "DeadLetter": "engine.dead_letters",
    "DeadLettersError": "errors",
    "GiB": "sizes",
    "JsonBufferStreamer": "streamer",
    "KeyValuesError": "errors",
    "KiB": "sizes",
    "LoadError": "errors",
    "LoadFailure": "redshift.load.table_loads",
    "LoadResult": "redshift.load.plan",
    "Manifest": "engine.manifests",
    "ManifestReplacedError": "errors",
    "Manifests": "engine.manifests",
    "MiB": "sizes",
    "NotAnObjectError": "errors",
    "Notifier": "notify.notifier",
    "NotifyError": "errors",
    "RecordError": "errors",
    "RedshiftConnection": "redshift.client.connections",
    "RedshiftLoader": "redshift.load.loader",
    "RowCountError": "errors",
    "RunExistsError": "errors",
    "S3Box": "box",
    "S3BoxError": "errors",
    "S3Settings": "stores.s3_settings",
    "S3Uploader": "streamer",
    "ShardFile": "shards.model",
    "StoreError": "errors",
    "Stream": "records.streams",
    "StreamLimits": "shards.limits",
    "StreamerError": "errors",
    "TransientLoadError": "errors",
    "Tuning": "transforms",
    "UploadsFailedError": "errors",
    "WriteToS3Box": "transforms",
    "WriteToS3BoxResult": "transforms",
    "avro_schema_of": "formats.avro.inference",
}

__all__ = [
    "AvroFormat",
    "BoxSealedError",
    "BufferFile",
    "Commit",
    "ConfigurationError",
    "CopyError",
    "CopyToRedshift",
    "CopyToRedshiftResult",
    "DeadLetter",
    "DeadLettersError",
    "GiB",
    "JsonBufferStreamer",
    "KeyValuesError",
    "KiB",
    "LoadError",
    "LoadFailure",
    "LoadResult",
    "Manifest",
    "ManifestReplacedError",
    "Manifests",
    "MiB",
    "NotAnObjectError",
    "Notifier",
    "NotifyError",
    "RecordError",
    "RedshiftConnection",
    "RedshiftDataApi",
    "RedshiftLoader",
    "RowCountError",
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
    "TransientLoadError",
    "Tuning",
    "UploadsFailedError",
    "WriteToS3Box",
    "WriteToS3BoxResult",
    "avro_schema_of",
]


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
