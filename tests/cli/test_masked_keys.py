"""A key that was given as an option shows in no command's messages, should a server or a driver quote it."""

from __future__ import annotations

from typing import Any

import pytest

from beam_s3box.cli.main import main
from beam_s3box.errors import StoreError
from beam_s3box.stores import S3Store

SECRET, TOKEN = "a-secret-that-nobody-sees", "a-token-that-nobody-sees"
KEYS = ("--s3_access_key_id=key", f"--s3_secret_access_key={SECRET}", f"--s3_session_token={TOKEN}")
LOADED = ("s3://box/x.manifest", "--redshift_table=t")
ROLE = "--redshift_iam_role=default"
PACKED = ("--domain_field=d", "--namespace_field=n", "--input=pyproject.toml")
COMMANDS: dict[str, tuple[str, ...]] = {
    "backfill": ("backfill", "--destination=s3://box/x", *PACKED),
    "stream": ("stream", "--destination=s3://box/x", "--runner=PrismRunner", *PACKED),
    "pack": ("pack", "s3://box/x", *PACKED),
    "load": ("load", *LOADED, ROLE, "--redshift_dsn=redshift://me@127.0.0.1:1/dev?ssl=false"),
    "copy-sql": ("copy-sql", *LOADED, ROLE),
    "create-table": ("create-table", *LOADED),
}


def quote(*arguments: Any, **named: Any) -> None:
    raise StoreError(f"the server says that >{SECRET}< and >{TOKEN}< do not fit")


@pytest.mark.parametrize("command", list(COMMANDS))
def test_keys_of_options_are_masked(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", "hunter2")
    for call in ("check_writable", "get", "read"):
        monkeypatch.setattr(S3Store, call, quote)
    monkeypatch.setattr("redshift_connector.connect", quote)
    assert main([*COMMANDS[command], *KEYS]) in (1, 2)
    ended = capsys.readouterr()
    assert "the server says that >(masked)< and >(masked)< do not fit" in ended.err
    assert SECRET not in ended.out + ended.err
