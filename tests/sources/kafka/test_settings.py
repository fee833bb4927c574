"""How topics are reached: properties, their secrets, and what the source depends on."""

from __future__ import annotations

import pathlib
import pickle
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import MiB
from beam_s3box.sources.kafka.settings import KafkaSettings, read_properties
from beam_s3box.sources.kafka.source import KafkaSource, split_part
from beam_s3box.sources.kafka.start import millis_of


def settings(**changes: Any) -> KafkaSettings:
    return KafkaSettings(**{"brokers": "k:9092", "topics": ["t"], **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"brokers": ""}, "brokers='' must be host:port"),
        ({"topics": []}, r"topics=\[\] must name at least one topic"),
        ({"topics": ["t", "t"]}, "must name each topic once"),
        ({"topics": 5}, "topics is an int, and must be text or a list of texts"),
        ({"auth": "iam"}, "auth='iam' must be one of msk-iam, or None"),
        ({"fetch_bytes": "10"}, "fetch_bytes=10 must be a whole number from 1048576 to"),
        ({"fetch_bytes": "much"}, "fetch_bytes='much' is not a size"),
        ({"config": {"group.id": "g"}}, "config: group.id is set by the source itself: leave it out; give group"),
        ({"config": {"auto.offset.reset": "latest"}}, "auto.offset.reset is set by the source itself: .*; give start"),
        ({"config": {"enable.auto.commit": "true"}}, "leave it out; the source depends on it"),
        ({"config": {"a.b": 5}}, "config: the value of a.b must be text"),
        (
            {"config": {"sasl.password": "hunter2"}},
            r"sasl.password is a secret.*write sasl.password=\$\{KAFKA_SECRET\}",
        ),
        ({"config": {"ssl.key.pem": "-----BEGIN"}}, "ssl.key.pem is a secret"),
        ({"config": {"sasl.oauthbearer.client.secret": "x"}}, "is a secret"),
    ],
)
def test_what_can_not_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        settings(**changes)
    assert "hunter2" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_secrets_are_found_where_the_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings(config={"sasl.password": "${PW_OF_KAFKA}", "client.id": "s3box-${PW_OF_KAFKA}", "debug": "fetch"})
    with pytest.raises(ConfigurationError, match=r"\$\{PW_OF_KAFKA\} is not set in the environment"):
        made.client_config()
    monkeypatch.setenv("PW_OF_KAFKA", "hunter2")
    config = made.client_config()
    assert (config["sasl.password"], config["client.id"], config["debug"]) == ("hunter2", "s3box-hunter2", "fetch")
    assert b"hunter2" not in pickle.dumps(KafkaSource(made))
    assert "hunter2" not in repr(made)


def test_the_client_reads_committed_records_within_its_memory() -> None:
    config = settings(fetch_bytes="8MiB").client_config()
    assert config["isolation.level"] == "read_committed"
    assert config["queued.max.messages.kbytes"] * 1_024 + config["fetch.max.bytes"] <= 8 * MiB
    assert config["enable.auto.commit"] is False
    assert config["auto.offset.reset"] == "error"
    assert settings(config={"fetch.wait.max.ms": "50"}).client_config()["fetch.wait.max.ms"] == "50"


def test_a_file_of_properties(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "client.properties"
    path.write_text("# to MSK\n\nsecurity.protocol = SASL_SSL\nsasl.password=${A}=b\n")
    assert read_properties(str(path)) == {"security.protocol": "SASL_SSL", "sasl.password": "${A}=b"}
    path.write_text("sasl.password hunter2")
    with pytest.raises(ConfigurationError, match="line 1 must be name=value") as caught:
        read_properties(str(path))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_properties(str(tmp_path / "none"))


def test_a_secret_that_is_part_of_a_value_is_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match="is a secret"):
        settings(config={"sasl.password": "${A}=b"})


@pytest.mark.parametrize("start", ["soon", "", "12", "run:x", "2026-13-01"])
def test_a_start_that_is_none(start: str) -> None:
    with pytest.raises(ConfigurationError, match="must be 'earliest', 'latest', or a time"):
        millis_of(start)


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert millis_of("2026-11-22T10:15:00Z") == millis_of("2026-11-22 10:15") == 1_795_342_500_000
    assert millis_of("2026-11-22T10:15:00+01:00") == 1_795_342_500_000 - 3_600_000
    assert millis_of("1795342500") == 1_795_342_500_000


def test_partitions_have_names() -> None:
    source = KafkaSource(settings(topics=["a:b"]), names_domain=True)
    assert split_part("a:b:7") == ("a:b", 7)
    assert source.name_of("a:b:7") == "kafka://a:b/7"
    assert source.domain_of("a:b:7") == "a:b"
    assert KafkaSource(settings()).domain_of("t:0") is None
    assert source.number_of("a:b:8") - source.number_of("a:b:7") == 1, "readers share partitions evenly"
    with pytest.raises(ConfigurationError, match="'t' names no partition"):
        split_part("t")
