"""Redshift: the statements that make tables and load manifests into them."""

from __future__ import annotations

from beam_s3box.redshift.columns import Column, mapping_of
from beam_s3box.redshift.copy import copy_sql
from beam_s3box.redshift.credentials import Secret, mask_sql
from beam_s3box.redshift.ddl import alter_table_sql, create_table_sql
from beam_s3box.redshift.infer import Inference, infer_columns
from beam_s3box.redshift.options import CopyOptions

__all__ = [
    "Column",
    "CopyOptions",
    "Inference",
    "Secret",
    "alter_table_sql",
    "copy_sql",
    "create_table_sql",
    "infer_columns",
    "mapping_of",
    "mask_sql",
]
