"""Settings reject what can't work, and can be pickled and copied; keys can't."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import GiB, MiB
from beam_s3box.stores import Credentials, S3Settings, S3Store


def test_travels_and_compares() -> None:
    tags = {"team": "data"}
    settings = S3Settings("eu-central-1", tags=tags, sse="aws:kms", sse_kms_key_id="alias/k", acl="private")
    tags["later"] = "change"
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert hash(again) == hash(settings)
    assert again.tags == {"team": "data"}
    assert settings != S3Settings("eu-central-1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sse_kms_key_id": "alias/k"}, "sse_kms_key_id='alias/k' needs sse='aws:kms', not sse=None: add it, or leave"),
        ({"sse": "AES256", "sse_kms_key_id": "k"}, "needs sse='aws:kms', not sse='AES256'"),
        ({"sse": "aws:kms", "sse_kms_key_id": ""}, "sse_kms_key_id must be"),
        ({"sse": "kms"}, "sse='kms' must be one of AES256, aws:kms"),
        ({"acl": "everybody"}, "acl='everybody' must be one of private, "),
        ({"storage_class": "GLACIER"}, "storage_class='GLACIER' must be one whose objects can be read at once"),
        ({"storage_class": "DEEP_ARCHIVE"}, "give GLACIER_IR, or let a lifecycle rule on data/ move old shards there"),
        ({"storage_class": "standard"}, "storage_class='standard' is not one: write it as STANDARD_IA"),
        ({"region": "EU West"}, "region='EU West' is not one: write it as eu-central-1"),
        ({"role_arn": "role/x"}, "role_arn='role/x' is not one: write it as arn:aws:iam::"),
        ({"profile": " "}, "profile=' ' must be the name"),
        ({"endpoint_url": "localhost:9000"}, "endpoint_url='localhost:9000' must be an http:// or https:// URL"),
        ({"endpoint_url": "http://h/?x=1"}, "must be an http"),
        ({"part_bytes": 5 * MiB - 1}, "part_bytes=5242879 must be a whole number from 5242880 to 5368709120"),
        ({"part_bytes": 5 * GiB + 1}, "part_bytes=5368709121 must be"),
        ({"multipart_bytes": 5 * GiB + 1}, "multipart_bytes=5368709121 must be"),
        ({"multipart_bytes": 0}, "multipart_bytes=0 must be"),
        ({"max_attempts": 0}, "max_attempts=0 must be a whole number from 1 to 100"),
        ({"max_attempts": True}, "max_attempts=True must be"),
        ({"concurrency": 1.5}, "concurrency=1.5 must be"),
        ({"connect_timeout": 0}, "connect_timeout=0 must be a number of seconds above 0"),
        ({"read_timeout": float("nan")}, "read_timeout=nan must be"),
        ({"retry_seconds": 0}, "retry_seconds=0 must be a number of seconds above 0"),
        ({"conditional_writes": None}, "conditional_writes=None must be True or False"),
        ({"checksums": 1}, "checksums=1 must be True or False"),
        ({"use_ssl": "no"}, "use_ssl='no' must be True or False"),
        ({"verify": ""}, "verify='' must be"),
        ({"tags": ["a"]}, "must be a mapping"),
        ({"tags": {"a": 1}}, "tags has 'a': 1; S3 takes"),
        ({"tags": {str(n): "" for n in range(11)}}, "tags has 11 entries; S3 takes at most 10"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Settings(**arguments)
    assert message in str(caught.value)


def test_an_endpoint_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Settings(endpoint_url="http://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "a-secret", "a-token")


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_keys_are_never_copied(duplicate: Any) -> None:
    with pytest.raises(
        ConfigurationError, match="keys given in code can't travel with a pipeline: use the environment"
    ):
        duplicate(KEYS)


def test_keys_are_masked() -> None:
    assert repr(KEYS) == str(KEYS) == "Credentials(…MPLE)"
    assert repr(Credentials("short", "a-secret")) == "Credentials(…)"
    assert not hasattr(KEYS, "__dict__")


@pytest.mark.parametrize("value", ["", "a-secret\n", "a secret", "ä-secret", None, 5])
@pytest.mark.parametrize("name", ["access_key", "secret_key", "token"])
def test_keys_that_were_copied_badly_are_refused_unseen(name: str, value: Any) -> None:
    if (name, value) == ("token", None):
        return
    keys = {"access_key": "k", "secret_key": "s", "token": None, name: value}
    with pytest.raises(ConfigurationError, match=f"^{name} must be printable") as caught:
        Credentials(**keys)
    assert "secret\n" not in str(caught.value)
    assert repr(value) not in str(caught.value)


def test_credentials_must_be_a_function() -> None:
    with pytest.raises(ConfigurationError, match="credentials must be a function"):
        S3Store("s3://bucket", credentials=KEYS)  # type: ignore[arg-type]
