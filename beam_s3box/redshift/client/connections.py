"""Connections through `redshift_connector`, which is imported when the first one is made."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.credentials import Secret
from beam_s3box.stores.urls import split_url

PASSWORD_VARIABLE: Final = "REDSHIFT_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable with the password, if the program gives none."""

DEFAULT_PORT: Final = 5439

_KEEPALIVE_SECONDS: Final = 60
"""A connection is idle while a COPY runs, and the load balancers of AWS drop an idle connection after 350 s."""

_SCHEMES = ("redshift", "postgresql", "postgres")
_TEXTS = ("application_name", "cluster_identifier", "db_user", "profile", "region", "serverless_work_group", "sslmode")
_SWITCHES = ("iam", "ssl")
_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclasses.dataclass(frozen=True)
class RedshiftConnection:
    """The endpoint of a cluster or workgroup and the login; a call connects.

    Without `iam` a user and a password log in. A password given here is masked, and never pickled: in a pipeline give a
    function that finds it on the worker, set `REDSHIFT_PASSWORD` there, or use `iam=True`.

    Attributes:
      host: name of the endpoint; None if IAM finds it.
      database: to connect to.
      user: to log in as.
      password: text, a `Secret`, or a function that returns either; None for `REDSHIFT_PASSWORD`.
      port: of the endpoint.
      iam: log in through IAM, with the credentials that boto3 finds or those of `profile`.
      ssl: encrypt; the driver checks the certificate.
      options: further arguments of `redshift_connector.connect`, none of them secret: `cluster_identifier`,
        `serverless_work_group`, `db_user`, `region`, `profile`, `sslmode`, …
    """

    host: str | None = None
    database: str = "dev"
    user: str | None = None
    password: Secret | str | Callable[[], Secret | str] | None = dataclasses.field(default=None, repr=False)
    port: int = DEFAULT_PORT
    iam: bool = False
    ssl: bool = True
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if isinstance(self.password, str):
            object.__setattr__(self, "password", Secret(self.password))
        object.__setattr__(self, "options", dict(self.options))
        if not self.iam and (not self.host or not self.user):
            raise ConfigurationError(
                f"host={self.host!r} and user={self.user!r} are both required without iam=True: give the endpoint and "
                "the user"
            )
        for name in self.options:
            if "password" in name or "secret" in name or "token" in name:
                raise ConfigurationError(f"options= has {name!r}, a secret: give password=, or use iam=True")

    @classmethod
    def from_dsn(cls, dsn: str) -> RedshiftConnection:
        """Return the connection to a URL: `redshift://user@host:5439/database?ssl=true`.

        Further options follow the question mark: `iam`, `ssl`, `sslmode`, `region`, `cluster_identifier`,
        `serverless_work_group`, `db_user`, `profile`, `application_name`.

        Raises:
          ConfigurationError: an invalid URL. It is not shown, as it may contain a password.
        """
        parts = split_url(dsn)
        database = parts.path.removeprefix("/") if parts else ""
        if parts is None or parts.scheme not in _SCHEMES or not database or "/" in database or parts.fragment:
            raise ConfigurationError(
                "dsn= must be written redshift://user@host:5439/database; / ? # @ [ and spaces within a part, as in a "
                "password, are percent-encoded, and the port is a number"
            )
        known = _settings(parts.query)
        return cls(
            host=parts.host,
            database=database,
            user=parts.user or None,
            password=Secret(parts.password) if parts.password else None,
            port=parts.port or DEFAULT_PORT,
            iam=bool(known.pop("iam", False)),
            ssl=bool(known.pop("ssl", True)),
            options=known,
        )

    def __call__(self) -> Any:
        """Return a new connection.

        Raises:
          ConfigurationError: the driver is not installed, or there is no password.
          Exception: of the driver, if it can't connect.
        """
        try:
            import redshift_connector
        except ImportError as exc:
            raise ConfigurationError(
                "redshift_connector is not installed: pip install 'beam_s3box[redshift]', use the Data API, or give a "
                "connection of another driver"
            ) from exc
        return redshift_connector.connect(**self._arguments())

    def __repr__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"RedshiftConnection({user}{self.host or ''}:{self.port}/{self.database}{', iam' if self.iam else ''})"

    def _arguments(self) -> dict[str, Any]:
        given = {"host": self.host, "user": self.user, "password": None if self.iam else self._find_password()}
        return {
            "database": self.database,
            "port": self.port,
            "iam": self.iam,
            "ssl": self.ssl,
            "application_name": "beam_s3box",
            "tcp_keepalive": True,
            "tcp_keepalive_idle": _KEEPALIVE_SECONDS,
            "tcp_keepalive_interval": _KEEPALIVE_SECONDS,
            **{name: value for name, value in given.items() if value is not None},
            **self.options,
        }

    def _find_password(self) -> str:
        found = self.password() if callable(self.password) else self.password
        found = found if found is not None else os.environ.get(PASSWORD_VARIABLE)
        if not found:
            raise ConfigurationError(
                f"password= is missing: set {PASSWORD_VARIABLE}, give one, or use IAM (iam=True, or ?iam=true in a DSN)"
            )
        return found.reveal() if isinstance(found, Secret) else found


def _settings(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in pairs:
        if name in _SWITCHES:
            if value.lower() not in _WORDS:
                raise ConfigurationError(f"dsn= has {name}={value!r}, which must be true or false")
            settings[name] = _WORDS[value.lower()]
        elif name in _TEXTS:
            settings[name] = value
        else:
            raise ConfigurationError(f"dsn= has the option {name!r}; known are {', '.join((*_SWITCHES, *_TEXTS))}")
    return settings
