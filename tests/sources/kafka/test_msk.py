"""Amazon MSK with IAM: Amazon's own signer makes the tokens, with the identity that is found where they are asked for."""

from __future__ import annotations

import base64
import time
import urllib.parse

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.sources.kafka.client import new_consumer
from beam_s3box.sources.kafka.msk import msk_iam_config, region_of
from beam_s3box.sources.kafka.settings import KafkaSettings

BROKER = "b-1.demo.x1.c2.kafka.eu-west-1.amazonaws.com:9098"


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-in-the-token")


def test_the_region_is_that_of_the_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert region_of(BROKER, None) == "eu-west-1"
    assert region_of("boot-x.c1.kafka-serverless.us-east-2.amazonaws.com:9098", None) == "us-east-2"
    assert region_of(BROKER, "us-west-2") == "us-west-2"
    with pytest.raises(ConfigurationError, match="do not name their region: set AWS_REGION"):
        region_of("10.0.0.5:9098", None)
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert region_of("10.0.0.5:9098", None) == "ap-south-1"


def test_a_token_is_signed_for_the_cluster() -> None:
    config = msk_iam_config(BROKER, None)
    assert (config["security.protocol"], config["sasl.mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    token, expires = config["oauth_cb"]("")
    url = urllib.parse.urlparse(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = urllib.parse.parse_qs(url.query)
    assert url.hostname == "kafka.eu-west-1.amazonaws.com"
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Credential"][0].startswith("AKIATEST/")
    assert time.time() < expires < time.time() + 3_600
    assert "not-in-the-token" not in url.query


def test_the_client_takes_it() -> None:
    consumer = new_consumer(KafkaSettings(brokers=BROKER, topics="t", auth="msk-iam"))
    consumer.close()
