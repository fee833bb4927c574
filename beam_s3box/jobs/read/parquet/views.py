"""Arrow's views of texts and bytes, brought into the layout that all of its functions take.

A Parquet file names them where it was written from such columns. Arrow takes no rows out of them: it has no `take` for
views, nor for what contains them.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def without_views(batch: Any) -> Any:
    """Return a batch of Arrow with the same values, none of which are views."""
    schema = pa.schema([field.with_type(_plain(field.type)) for field in batch.schema])
    return batch if schema.equals(batch.schema) else batch.cast(schema)


def _plain(kind: Any) -> Any:
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if isinstance(kind, pa.BaseExtensionType):
        storage = _plain(kind.storage_type)
        return kind if storage == kind.storage_type else storage
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain(kind.value_type), kind.ordered)
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field), kind.keys_sorted)
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    return kind


def _plain_field(field: Any) -> Any:
    return field.with_type(_plain(field.type))
