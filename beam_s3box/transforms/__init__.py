"""The Beam transforms. Importing this imports Beam."""

from __future__ import annotations

import types
import typing
from typing import Any

import apache_beam as beam

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.engine.manifests import Manifest
from beam_s3box.shards.model import ShardFile
from beam_s3box.transforms.result import WriteToS3BoxResult
from beam_s3box.transforms.tuning import Tuning
from beam_s3box.transforms.write import WriteToS3Box

__all__ = ["Tuning", "WriteToS3Box", "WriteToS3BoxResult"]


def _hints(row: type) -> dict[str, Any]:
    """Return the types of the fields of a row in the form that Beam understands.

    Beam would turn quoted types, and `str | None`, into a pickled Python type, which no Java runner can decode.
    """
    hints = typing.get_type_hints(row)
    return {
        name: typing.Union[typing.get_args(hint)] if isinstance(hint, types.UnionType) else hint  # noqa: UP007
        for name, hint in hints.items()
    }


for _row in (ShardFile, Manifest, DeadLetter):
    # rows with a schema: SQL, YAML and cross-language steps can read them
    _row.__annotations__ = _hints(_row)
    beam.coders.registry.register_coder(_row, beam.coders.RowCoder)
