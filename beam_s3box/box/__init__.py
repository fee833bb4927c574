"""`S3Box`: one stream, packed, sealed and listed without a pipeline."""

from __future__ import annotations

from beam_s3box.box.box import S3Box
from beam_s3box.box.stats import BoxStats

__all__ = ["BoxStats", "S3Box"]
