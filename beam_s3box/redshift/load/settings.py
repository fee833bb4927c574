"""What all loads of a loader have in common, checked once, where a user's arguments come in."""

from __future__ import annotations

import dataclasses
from typing import Final

from beam_s3box.checks import check_type
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.client.connections import RedshiftConnection
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Connect
from beam_s3box.redshift.load.ledger import LedgerName
from beam_s3box.redshift.manifests import FetchBytes, StoreReader
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.quoting import identifier
from beam_s3box.redshift.sql.target import OnReplaced, check_on_replaced
from beam_s3box.stores.retries import RETRY_EXAMPLE, Retry

RETRY: Final = Retry(max_attempts=6, base_seconds=1.0, cap_seconds=30.0)
"""Attempts at a transaction: Redshift's conflicts and restarts take seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class LoadSettings:
    """The settings of a loader, which a pipeline pickles. Connections are made, and keys found, where a load runs.

    Attributes:
      connection: see `RedshiftLoader`.
      copy: what all COPYs have in common.
      schema: of tables whose names have none.
      ledger: names the ledger of each table.
      on_replaced: see `RedshiftLoader`.
      fetch: reads a manifest or a shard by its URL.
      retry: attempts at a transaction, and the waits between them.

    Raises:
      ConfigurationError: an argument that can't work.
    """

    connection: Connect | RedshiftDataApi
    copy: CopySettings
    schema: str = "public"
    ledger: LedgerName = dataclasses.field(default_factory=LedgerName)
    on_replaced: OnReplaced = "error"
    fetch: FetchBytes = dataclasses.field(default_factory=StoreReader)
    retry: Retry = RETRY

    def __post_init__(self) -> None:
        if isinstance(self.connection, RedshiftDataApi):
            if self.copy.credentials is not None:
                raise ConfigurationError(
                    "credentials= would be in the history of statements that the Data API keeps: use iam_role="
                )
        elif not callable(self.connection):
            raise ConfigurationError(
                f"connection={type(self.connection).__name__} must be a RedshiftConnection, a RedshiftDataApi, or a "
                "function that returns a new DB-API connection"
            )
        if self.copy.options.noload:
            raise ConfigurationError("noload=True loads nothing: use copy_sql(…, noload=True) to check files")
        check_type("retry", self.retry, Retry, RETRY_EXAMPLE)
        identifier(self.schema, "schema")
        check_on_replaced(self.on_replaced)

    def __repr__(self) -> str:
        # a function of the user's may show its arguments, and so a password
        ours = isinstance(self.connection, RedshiftConnection | RedshiftDataApi)
        return f"LoadSettings({repr(self.connection) if ours else type(self.connection).__name__})"
