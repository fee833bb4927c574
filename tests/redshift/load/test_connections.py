"""Connections by settings: a DSN, the driver that is imported late, and a password that is never shown."""

from __future__ import annotations

import copy
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError, LoadError, UnreachableError
from beam_s3box.redshift.client.connections import RedshiftConnection
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Session, StatementRejected
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.sql.credentials import Secret
from beam_s3box.stores import Credentials
from tests.redshift.load.fakes import ROLE, Connection, OperationalError, Server, ServerError

PASSWORD = "hunter2/secret"
GIVEN = RedshiftConnection("host", "dev", "me", PASSWORD)


def test_a_dsn_says_it_all() -> None:
    made = RedshiftConnection.from_dsn("redshift://me:a%2Fb@host:5440/dev?ssl=false&region=eu-central-1")
    assert (made.host, made.port, made.database, made.user, made.ssl) == ("host", 5440, "dev", "me", False)
    assert made.password == Secret("a/b")
    assert made.options == {"region": "eu-central-1"}
    serverless = RedshiftConnection.from_dsn("redshift:///dev?iam=true&serverless_work_group=w")
    assert (serverless.iam, serverless.host, serverless.port) == (True, None, 5439)


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ("mysql://me:hunter2@host/dev", "must be written redshift://"),
        ("redshift://me:hunter2@host", "must be written redshift://"),
        ("redshift://me:hunter2@host:x/dev", "the port is a number"),
        ("redshift://me:hunter2@host/dev?iam=maybe", "iam='maybe', which must be true or false"),
        ("redshift://me:hunter2@host/dev?password=x", "the option 'password'"),
        ("redshift://host/dev", "both required without iam=True"),
    ],
)
def test_a_dsn_that_can_not_work_is_refused_without_its_password(dsn: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        RedshiftConnection.from_dsn(dsn)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("password", [
    "hunter/22", "hunter\u210022", "hun[ter22", "hun]ter22", "hunter?22", "hunter#22", "hunter@22", "hunter22:", "hunter%22",
    "12/hunter?22", "12?hunter", "12#hunter", "12/dev?hunter=x", "12/dev#hunter", "hunter 22", "hunter\n22", "12\\hunter", "hunter",
])  # fmt: skip
def test_no_part_of_a_password_shows_whatever_is_in_it(password: str) -> None:
    """Neither in the message, nor in its cause or context; and an accepted DSN masks it."""
    made, failed = _attempt(lambda: RedshiftConnection.from_dsn(f"redshift://loader:{password}@cluster:5439/dev"))
    shown = f"{made!r} {failed!r}"
    assert "hun" not in shown
    assert "ter22" not in shown


def _attempt(work: Callable[[], object]) -> tuple[object, list[BaseException]]:
    """Return the result, or the error with its causes."""
    behind: list[BaseException] = []
    try:
        return work(), behind
    except ConfigurationError as exc:
        left: list[BaseException | None] = [exc]
    while left:
        error = left.pop()
        if error is not None:
            behind.append(error)
            left += [error.__cause__, error.__context__]
    return None, behind


@pytest.mark.parametrize("url", [None, 7, b"redshift://me@host/dev", "", "redshift:", "redshift://me@host/dev#x"])
def test_what_is_no_dsn_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be written redshift://"):
        RedshiftConnection.from_dsn(url)


def test_secret_options_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'secret_access_key', a secret"):
        RedshiftConnection("host", "dev", "me", options={"secret_access_key": "x"})


def test_the_driver_gets_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GIVEN._arguments()["password"] == PASSWORD
    assert RedshiftConnection("host", "dev", "me", lambda: Secret("s"))._arguments()["password"] == "s"
    monkeypatch.setenv("REDSHIFT_PASSWORD", "from-the-environment")
    assert RedshiftConnection("host", "dev", "me")._arguments()["password"] == "from-the-environment"
    monkeypatch.delenv("REDSHIFT_PASSWORD")
    with pytest.raises(ConfigurationError, match="password= is missing"):
        RedshiftConnection("host", "dev", "me")._arguments()
    iam = RedshiftConnection(database="dev", iam=True, options={"cluster_identifier": "c"})._arguments()
    assert (iam["iam"], iam["cluster_identifier"], "password" in iam) == (True, "c", False)


def test_the_driver_is_imported_when_it_is_used() -> None:
    program = (
        "import sys\nfrom beam_s3box.redshift.load.loader import RedshiftLoader\n"
        "from beam_s3box.redshift.client.connections import RedshiftConnection\n"
        f"RedshiftLoader(RedshiftConnection('h', 'd', 'u'), iam_role={ROLE!r})\n"
        "print([name for name in ('redshift_connector', 'psycopg', 'boto3', 'apache_beam') if name in sys.modules])\n"
        "sys.modules['redshift_connector'] = None\n"
        "RedshiftConnection('h', 'd', 'u', 'p')()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]"
    assert "ConfigurationError: redshift_connector is not installed: pip install 'beam_s3box[redshift]'" in done.stderr


def test_nothing_shows_the_password_or_the_keys() -> None:
    keys = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "token-token")
    loader = RedshiftLoader(GIVEN, credentials=keys)
    partial = RedshiftLoader(functools.partial(RedshiftConnection, password=PASSWORD), iam_role=ROLE)
    for shown in (
        repr(GIVEN),
        str(GIVEN),
        repr(loader),
        repr(partial),
        f"{GIVEN.password}",
        repr(loader.settings.copy),
    ):
        assert PASSWORD not in shown
        assert "wJalr" not in shown
        assert "token-token" not in shown


def test_a_loader_is_pickled_without_secrets_or_not_at_all() -> None:
    plain = RedshiftLoader(RedshiftConnection("host", "dev", "me"), iam_role=ROLE)
    assert (
        repr(pickle.loads(pickle.dumps(plain))) == repr(plain) == "RedshiftLoader(RedshiftConnection(me@host:5439/dev))"
    )
    found = RedshiftLoader(RedshiftDataApi("dev", workgroup="w"), iam_role=ROLE, region="eu-central-1")
    assert pickle.loads(pickle.dumps(found)).settings.connection == RedshiftDataApi("dev", workgroup="w")
    for holds in (RedshiftLoader(GIVEN, iam_role=ROLE), RedshiftLoader(print, credentials=Credentials("AKIA", "s"))):
        with pytest.raises(ConfigurationError, match=r"can't (be pickled|travel) with a pipeline"):
            pickle.dumps(holds)
    with pytest.raises(ConfigurationError, match="can't be pickled"):
        copy.deepcopy(GIVEN)


def test_keys_may_be_found_where_the_load_runs() -> None:
    asked: list[int] = []

    def find() -> Credentials:
        asked.append(1)
        return Credentials("AKIAIOSFODNN7EXAMPLE", "found")

    loader = RedshiftLoader(print, credentials=find, fetch=lambda url: b'{"entries":[]}')
    assert not asked
    assert loader.load("s3://b/x", "t").outcome == "nothing-to-load"
    assert asked == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"connection": "redshift://me:hunter2@host/db"}, "connection=str must be"),
        ({"connection": RedshiftDataApi("dev", "w"), "credentials": Credentials("AKIA", "s")}, "history of statements"),
        ({"iam_role": None}, "iam_role= is missing"),
        ({"iam_role": "x"}, "must be 'default' or ARNs"),
        ({"noload": True}, "noload=True loads nothing"),
        ({"delimiter": ","}, "is for text files"),
        ({"schema": ""}, "schema='' has 0 bytes|must be"),
        ({"ledger": "a.b.c"}, "names a database"),
        ({"on_replaced": "x"}, "must be one of"),
        ({"format": "json-array"}, "can't be loaded"),
    ],
)
def test_what_can_not_work_is_refused_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        RedshiftLoader(**{"connection": print, "iam_role": None if "credentials" in arguments else ROLE, **arguments})  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "shown"),
    [
        (OperationalError("could not connect to postgresql://me:hunter2@host/db"), UnreachableError, "(masked)@host"),
        (OperationalError("no postgresql://me:a/hunter@b?hunter2@host/db"), UnreachableError, "(masked)@host"),
        (ConnectionRefusedError("refused"), UnreachableError, "refused"),
        (TypeError("connect() got an unexpected keyword"), LoadError, "unexpected keyword"),
    ],
)
def test_a_factory_that_fails_is_translated_without_its_secrets(
    error: Exception, kind: type[LoadError], shown: str
) -> None:
    def connect() -> object:
        raise error

    with pytest.raises(LoadError, match="connecting to Redshift") as caught:
        Session(connect)
    assert type(caught.value) is kind
    assert shown in str(caught.value)
    assert "hunter" not in str(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)


@pytest.mark.parametrize("step", ["execute", "commit", "rollback"])
def test_no_error_of_a_session_carries_one_that_quotes_a_secret(step: str) -> None:
    def fail(*arguments: object) -> None:
        raise ServerError("syntax error at SECRET_ACCESS_KEY 'hunter2'")

    class Broken(Connection):
        execute = commit = rollback = fail  # type: ignore[assignment]

    session = Session(lambda: Broken(Server()), ["hunter2"])
    with pytest.raises((StatementRejected, LoadError)) as caught:
        session.execute("COPY t") if step == "execute" else getattr(session, step)()
    assert "(masked)" in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
