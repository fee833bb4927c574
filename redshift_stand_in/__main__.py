"""Run the stand-in from a shell: `python -m redshift_stand_in`."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence

from redshift_stand_in.stand_in import ROLE, RedshiftStandIn

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a stand-in for Redshift until Ctrl-C or SIGTERM."""
    parser = _parser()
    given = parser.parse_args(arguments)
    missing = [name for name in _KEYS if not os.environ.get(name)]
    if missing:
        parser.error(f"set {' and '.join(missing)}: the keys with which COPY reads S3")
    try:
        stand_in = _stand_in(given)
    except ValueError as exc:
        parser.error(str(exc))
    # signals are blocked while servers start and stop; an exception there would leave some of them running
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        with stand_in:
            print("\n".join(_settings(stand_in, given.s3_endpoint_url)), flush=True)
            signal.sigwait(_STOPPING)
    except subprocess.CalledProcessError:
        # Ctrl-C in a terminal reaches PostgreSQL's initdb too, which ends with it
        if signal.sigpending().isdisjoint(_STOPPING):
            raise
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        ports = {"--port": given.port, "--data-api-port": given.data_api_port}
        taken = " or ".join(f"{option} {port}" for option, port in ports.items() if port)
        parser.exit(1, f"{parser.prog}: {taken} is in use by another program: choose another, or 0 for any free port\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m redshift_stand_in",
        description=main.__doc__,
        epilog=f"The keys with which COPY reads S3 are {' and '.join(_KEYS)}, and AWS_SESSION_TOKEN if there is one.",
    )
    parser.add_argument(
        "--s3-endpoint-url",
        metavar="URL",
        default=_first_set("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        help="the S3 server for s3:// URLs (default: AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL)",
    )
    parser.add_argument(
        "--region",
        default=_first_set("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1",
        help="region of the cluster and its buckets (default: AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1)",
    )
    parser.add_argument("--port", type=int, default=0, help="port for drivers; 0, the default, for any free one")
    parser.add_argument(
        "--data-api-port", metavar="PORT", type=int, default=0, help="port of the Data API; 0, the default, likewise"
    )
    parser.add_argument(
        "--role",
        metavar="ARN",
        action="append",
        help="an IAM role that COPY may name; can be repeated (default: any that is well-formed)",
    )
    return parser


def _first_set(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _stand_in(given: argparse.Namespace) -> RedshiftStandIn:
    return RedshiftStandIn(
        given.s3_endpoint_url or "",
        *(os.environ[name] for name in _KEYS),
        session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
        region=given.region,
        roles=None if given.role is None else frozenset(given.role),
        port=given.port,
        data_api_port=given.data_api_port,
    )


def _settings(server: RedshiftStandIn, s3_endpoint_url: str) -> list[str]:
    """Return lines for a shell: variables for clients, and where COPY reads."""
    variables = {
        "REDSHIFT_HOST": server.host,
        "REDSHIFT_PORT": str(server.port),
        "REDSHIFT_DATABASE": server.database,
        "REDSHIFT_USER": server.user,
        "REDSHIFT_PASSWORD": server.password,
        "REDSHIFT_URL": server.dsn,
        "AWS_ENDPOINT_URL_REDSHIFT_DATA": server.data_api_url,
    }
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"# COPY reads s3:// from {s3_endpoint_url} ({server.region}) with the access key {os.environ[_KEYS[0]]};",
        f"# roles that it may name: {_roles(server)}",
        "# Ctrl-C or SIGTERM stops the stand-in",
    ]


def _roles(server: RedshiftStandIn) -> str:
    return f"any, such as {ROLE}" if server.roles is None else ", ".join(sorted(server.roles))


if __name__ == "__main__":
    main()
