"""Redshift: the statements that make tables and load manifests into them, and a loader that does so exactly once.

Names of the loader are imported when they are first used; no driver is loaded before a connection is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beam_s3box.redshift.schema.infer import Inference, infer_columns
from beam_s3box.redshift.sql.columns import Column, mapping_of
from beam_s3box.redshift.sql.copy import copy_sql
from beam_s3box.redshift.sql.copy_options import CopyOptions
from beam_s3box.redshift.sql.credentials import Secret, mask_sql
from beam_s3box.redshift.sql.ddl import alter_table_sql, create_table_sql
from beam_s3box.system.lazy import lazy_names

if TYPE_CHECKING:
    from beam_s3box.redshift.client.connections import RedshiftConnection
    from beam_s3box.redshift.client.data_api import RedshiftDataApi
    from beam_s3box.redshift.load.load_errors import LoadProblem
    from beam_s3box.redshift.load.loader import RedshiftLoader
    from beam_s3box.redshift.load.plan import LoadResult
    from beam_s3box.redshift.load.table_loads import LoadFailure

_HOMES = {
    "RedshiftDataApi": "client.data_api",
    "LoadFailure": "load.table_loads",
    "LoadProblem": "load.load_errors",
    "LoadResult": "load.plan",
    "RedshiftConnection": "client.connections",
    "RedshiftLoader": "load.loader",
}

__all__ = [
    "Column",
    "CopyOptions",
    "Inference",
    "LoadFailure",
    "LoadProblem",
    "LoadResult",
    "RedshiftConnection",
    "RedshiftDataApi",
    "RedshiftLoader",
    "Secret",
    "alter_table_sql",
    "copy_sql",
    "create_table_sql",
    "infer_columns",
    "mapping_of",
    "mask_sql",
]


__getattr__ = lazy_names(__name__, _HOMES)
