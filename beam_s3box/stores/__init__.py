"""Object stores: S3, a local folder, memory. Only `s3` imports boto3, and only when a client is needed."""

from __future__ import annotations

from beam_s3box.stores.base import ObjectInfo, Store

__all__ = ["ObjectInfo", "Store"]
