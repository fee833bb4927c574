"""What botocore knows of S3 is read once in a process, and is what botocore itself would read."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest

from beam_s3box.stores import Credentials, S3Settings, S3Store, s3_client


def client_of(region: str) -> Any:
    store = S3Store("s3://box", S3Settings(region, "http://127.0.0.1:1"), lambda: Credentials("key", "secret"))
    return store.client


def test_two_clients_share_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first = client_of("us-east-1")
    monkeypatch.setattr("beam_s3box.stores.s3_client.orjson.loads", None)  # reading once more would fail
    second = client_of("eu-west-3")
    assert (first.meta.region_name, second.meta.region_name) == ("us-east-1", "eu-west-3")


@pytest.mark.parametrize("name", ["service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2"])
def test_it_is_what_botocore_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # read once more: botocore takes the bucket out of the paths of an operation that was called
    monkeypatch.setattr(s3_client, "_MODELS", {})
    session = boto3.Session(region_name="us-east-1")
    s3_client._share_models(session)
    ours, plain = (one.get_component("data_loader") for one in (session._session, botocore.session.get_session()))
    assert ours.load_service_model("s3", name) == plain.load_service_model("s3", name)
