"""The stand-in as tests and demos use it: one context manager that starts and stops everything."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import boto3
import botocore.config

from redshift_stand_in.backend import Backend
from redshift_stand_in.copy_authorization import Authorization, Keys
from redshift_stand_in.data_api import DataApi
from redshift_stand_in.data_jobs import Jobs
from redshift_stand_in.errors import s3_error
from redshift_stand_in.faults import Cut, Faults, Seen
from redshift_stand_in.load import Copying
from redshift_stand_in.load_log import LoadLog
from redshift_stand_in.names import LongNames
from redshift_stand_in.postgres import postgres
from redshift_stand_in.proxy import Proxy

if TYPE_CHECKING:
    from redshift_connector.core import Connection

ROLE = "arn:aws:iam::123456789012:role/redshift-copy"
"""A role that every COPY may name: the stand-in reads S3 with its own keys then."""


class RedshiftStandIn:
    """A Redshift cluster of one node.

    Args:
      s3_endpoint: URL of the S3 server for `s3://` URLs.
      access_key: access key of a user who may read there; for loads that name a role.
      secret_key: secret key of the same user.
      session_token: session token of the same user, if the keys are temporary.
      region: region of the cluster and its buckets.
      roles: ARNs of the roles attached to the cluster; None for any ARN that is well-formed.
      port: for drivers; 0 for any free port.
      data_api_port: the port of the Data API; 0 for any free port.

    Raises:
      ValueError: an argument can't be used; the message names it.

    Attributes:
      host: 127.0.0.1.
      port: port for drivers; once it runs, the free port that was found for 0.
      database: name of the only database.
      user: owner of the database.
      password: password of the user.
      cluster: name of the cluster, for the Data API.
      workgroup: name of a workgroup for the same cluster, for the Data API.
      secret_arn: ARN of the user's secret, for the Data API.
      region: as given.
      roles: as given.
    """

    def __init__(
        self,
        s3_endpoint: str,
        access_key: str,
        secret_key: str,
        *,
        session_token: str | None = None,
        region: str = "us-east-1",
        roles: frozenset[str] | None = None,
        port: int = 0,
        data_api_port: int = 0,
    ) -> None:
        _check(s3_endpoint, access_key, secret_key)
        _check_ports(port=port, data_api_port=data_api_port)
        self.database = "dev"
        self.user = "awsuser"
        self.password = "Stand-in-1"
        self.host = "127.0.0.1"
        self.port = port
        self.region = region
        self.cluster = "stand-in"
        self.workgroup = "stand-in-workgroup"
        self.secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:stand-in-AbCdEf"
        self._s3_endpoint = s3_endpoint
        self._keys = Keys(access_key, secret_key, session_token)
        self._listen_on = (port, data_api_port)
        self._clients: dict[Keys, Any] = {}
        self._lock = threading.Lock()
        self.roles = roles
        self._faults = Faults()
        self._names = LongNames()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(postgres(self.database, self.user))
            log = stack.enter_context(contextlib.closing(LoadLog(server.superuser())))
            copier = Copying(self._client, log, self._names, self.region)
            proxy = Proxy(server, self.password, copier, self._faults, self._names, self._listen_on[0])
            stack.callback(proxy.close)
            self.port = proxy.port
            self._proxy, self._server = proxy, server
            self._data_api = DataApi(self._jobs(), self._listen_on[1])
            stack.callback(self._data_api.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def connect(self, **changes: Any) -> Connection:
        """Open a connection with the real driver; `changes` replace its arguments."""
        import redshift_connector

        return redshift_connector.connect(**{**self.arguments, **changes})

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `redshift_connector.connect` for this stand-in, which does not support TLS."""
        return {
            "host": self.host, "port": self.port, "database": self.database, "user": self.user,
            "password": self.password, "ssl": False,
            # the driver would search the source of every frame for the name of its caller
            "application_name": "stand-in",
        }  # fmt: skip

    @property
    def data_api_url(self) -> str:
        """URL of the Data API."""
        return self._data_api.url

    def data_api(self, **changes: Any) -> Any:
        """Return a real boto3 client of `redshift-data` for the stand-in; `changes` replace its arguments."""
        arguments = {
            "region_name": self.region, "endpoint_url": self.data_api_url,
            "aws_access_key_id": "any", "aws_secret_access_key": "any",
        }  # fmt: skip
        return boto3.Session().client("redshift-data", **{**arguments, **changes})

    @property
    def dsn(self) -> str:
        """The address, user and password as a URL, for psycopg and SQLAlchemy."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def seen(self) -> list[Seen]:
        """Statements that were executed for clients, in order."""
        return self._faults.seen

    @property
    def statements(self) -> list[str]:
        """The texts of these statements."""
        return [seen.sql for seen in self.seen]

    @property
    def waiting(self) -> list[Cut]:
        """Cuts that have not happened yet: empty if all of them did."""
        return self._faults.waiting

    def cut_before(self, number: int) -> None:
        """Drop the next session that reaches its n-th statement, from 1, before it is executed."""
        self._faults.arm(Cut("before", number))

    def cut_after(self, number: int) -> None:
        """Drop the next session that reaches its n-th statement: it is executed, and the response lost."""
        self._faults.arm(Cut("after", number))

    def cut_before_commit(self) -> None:
        """Drop the next session that sends COMMIT; nothing is committed."""
        self._faults.arm(Cut("before", None))

    def cut_after_commit(self) -> None:
        """Drop the next session that sends COMMIT: it is committed, and the response lost."""
        self._faults.arm(Cut("after", None))

    def cut_all(self) -> None:
        """Drop every session that is open, now."""
        self._proxy.cut_all()

    def clear(self) -> None:
        """Forget the log and the cuts that have not happened."""
        self._faults.clear()

    def reset(self) -> None:
        """Drop all sessions and every table of the public schema, for the next test."""
        self.cut_all()
        self.clear()
        with contextlib.closing(self._server.superuser()) as session:
            session.run("DROP SCHEMA public CASCADE")
            session.run("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
            session.run("GRANT USAGE ON SCHEMA public TO PUBLIC")
            session.run("TRUNCATE redshift_internal.load_errors, redshift_internal.loads, redshift_internal.load_files")

    def _jobs(self) -> Jobs:
        compute = {"ClusterIdentifier": self.cluster, "WorkgroupName": self.workgroup}
        return Jobs(self._session, self.database, compute, self.secret_arn, self.user)

    def _session(self) -> Backend:
        parameters = {"user": self.user, "database": self.database, "application_name": "redshift-data"}
        return Backend(lambda: socket.create_connection((self.host, self.port)), parameters, self.password)

    def _client(self, authorization: Authorization) -> Any:
        """Return a client with the keys of a COPY. It is kept: creating one takes longer than a load."""
        attached = self.roles is None or set(authorization.roles) <= self.roles
        if authorization.keys is None and not attached:
            roles = ",".join(authorization.roles)
            raise s3_error(f"User arn:aws:redshift is not authorized to assume IAM Role {roles}")
        keys = authorization.keys or self._keys
        with self._lock:
            if keys not in self._clients:
                self._clients[keys] = self._make_client(keys)
            return self._clients[keys]

    def _make_client(self, keys: Keys) -> Any:
        return boto3.Session().client(
            "s3",
            endpoint_url=self._s3_endpoint,
            region_name=self.region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            config=botocore.config.Config(
                connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}
            ),
        )


def _check(s3_endpoint: str, access_key: str, secret_key: str) -> None:
    if not s3_endpoint.startswith(("http://", "https://")):
        raise ValueError(
            f"s3_endpoint={s3_endpoint!r}: COPY needs the URL of an S3 server, such as http://127.0.0.1:5000; "
            "on the command line it is --s3-endpoint-url, or AWS_ENDPOINT_URL_S3 in the environment"
        )
    if not access_key or not secret_key:
        raise ValueError("access_key= and secret_key= must not be empty: COPY reads S3 with them")


def _check_ports(**ports: int) -> None:
    for name, port in ports.items():
        if not 0 <= port <= 65_535:
            raise ValueError(f"{name}={port}: a port is a number from 0 to 65535; 0 takes any free one")
