"""The table of a manifest: one for all, or one for each stream by a template."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.quoting import TableName, table_parts
from beam_s3box.redshift.sql.target import Target, target_of, target_parts

_FIELDS: Final = ("{domain}", "{namespace}")
_BRACED: Final = re.compile(r"\{[^{}]*\}|[{}]")


@dataclasses.dataclass(frozen=True)
class TableTemplate:
    """A table's name, in which `{domain}` and `{namespace}` are replaced by the names of a stream.

    A dot in the name of a stream is part of the table's name, and does not separate a schema. Streams whose names
    result in the same table share it: Redshift folds names to lower case.

    Attributes:
      table: see `quoting.TableName`.
      schema: of a table whose name has none.

    Raises:
      ConfigurationError: an invalid table name, or one with other fields.
    """

    table: TableName
    schema: str = "public"

    def __post_init__(self) -> None:
        for field in (field for part in table_parts(self.table) for field in _BRACED.findall(part)):
            if field not in _FIELDS:
                raise ConfigurationError(
                    f"table={self.table!r} has {field!r}: the fields of a template are {' and '.join(_FIELDS)}"
                )
        target_parts(self.table)

    @property
    def is_constant(self) -> bool:
        """Whether all manifests go into one table."""
        return not any(_BRACED.search(part) for part in table_parts(self.table))

    def check_stream(self, domain: str | None, namespace: str | None) -> None:
        """Raise ConfigurationError if the template needs the names of a stream, and a manifest has none."""
        if not self.is_constant and (domain is None or namespace is None):
            raise ConfigurationError(
                f"table={self.table!r} names a table for each stream, and this manifest lists the shards of several: "
                "write manifests for each stream, or name one table"
            )

    def target(self, domain: str | None, namespace: str | None) -> Target:
        """Return the table for the manifests of a stream, or of a whole run, which has no names.

        Raises:
          ConfigurationError: the template needs names that are missing, or the result is too long a name.
        """
        self.check_stream(domain, namespace)
        return self._target({"{domain}": domain or "", "{namespace}": namespace or ""})

    def _target(self, names: Mapping[str, str]) -> Target:
        return target_of(_filled(table_parts(self.table), names), self.schema)


def _filled(parts: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_BRACED.sub(lambda found: names[found[0]], part) for part in parts)
