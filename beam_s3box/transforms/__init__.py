"""The Beam transforms. Importing this imports Beam."""

from __future__ import annotations

import apache_beam as beam

from beam_s3box.dead_letters import DeadLetter
from beam_s3box.manifests import Manifest
from beam_s3box.shards import ShardFile
from beam_s3box.transforms.write import WriteToS3Box, WriteToS3BoxResult

__all__ = ["WriteToS3Box", "WriteToS3BoxResult"]

for _row in (ShardFile, Manifest, DeadLetter):
    # rows with a schema: SQL, YAML and cross-language steps can read them
    beam.coders.registry.register_coder(_row, beam.coders.RowCoder)
