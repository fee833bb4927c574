"""How a topic is reached and read: librdkafka's properties, without the secrets among them."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from beam_s3box.checks import check_names, check_whole
from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import MiB, parse_size
from beam_s3box.sources.kafka.msk import msk_iam_config

AUTHS: Final = ("msk-iam",)
"""Ways to log in that librdkafka alone does not know."""

DEFAULT_FETCH_BYTES: Final = 32 * MiB
_LEAST_FETCH_BYTES: Final = MiB
_MOST_FETCH_BYTES: Final = 1_024 * MiB
_MOST_AT_ONCE: Final = 50 * MiB
"""Bytes of one answer of a broker; librdkafka's default."""

_SECRET = re.compile(r"password|secret|\.pem$|oauthbearer\.config|jaas|token(?!\.endpoint)")
_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
_OWN: Final = {
    "bootstrap.servers": "brokers",
    "metadata.broker.list": "brokers",
    "group.id": "group",
    "queued.max.messages.kbytes": "fetch_bytes",
    "fetch.max.bytes": "fetch_bytes",
    "auto.offset.reset": "start",
    "enable.auto.commit": "",
    "enable.auto.offset.store": "",
    "enable.partition.eof": "",
}
"""Properties that the source sets, each with the parameter that has its place; "" for those on which it depends."""

_NO_GROUP: Final = "beam_s3box"
"""A consumer must name one; without `group` nothing is ever committed to it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """How topics are reached and read.

    Attributes:
      brokers: `host:port` of some of the brokers, separated by commas.
      topics: their names.
      config: further properties of librdkafka. A value may have `${NAME}`, which is replaced by that variable of the
        environment where the reader runs; a secret must be one, so that none travels with the pipeline.
      auth: `msk-iam` logs in to Amazon MSK with the AWS identity of the reader; None leaves it to the properties.
      region: of MSK; None finds it in the names of the brokers, else in AWS_REGION.
      group: consumer group whose offsets are set to what has been read, for monitors of lag; None sets none. Where to
        go on never depends on it.
      fetch_bytes: memory of what a reader has fetched and not yet handed on.

    Raises:
      ConfigurationError: a value that can't work; a secret that is written out.
    """

    brokers: str
    topics: Sequence[str]
    config: Mapping[str, str] = dataclasses.field(default_factory=dict)
    auth: str | None = None
    region: str | None = None
    group: str | None = None
    fetch_bytes: int | str = DEFAULT_FETCH_BYTES

    def __post_init__(self) -> None:
        topics = check_names("topics", self.topics, "topics=['orders']")
        if not self.brokers or not isinstance(self.brokers, str):
            raise ConfigurationError(f"brokers={self.brokers!r} must be host:port of brokers, as 'kafka-1:9092'")
        if not topics or not all(isinstance(topic, str) and topic for topic in topics):
            raise ConfigurationError(f"topics={self.topics!r} must name at least one topic, as topics=['orders']")
        if len(set(topics)) < len(topics):
            raise ConfigurationError(f"topics={list(topics)!r} must name each topic once")
        if self.auth is not None and self.auth not in AUTHS:
            raise ConfigurationError(f"auth={self.auth!r} must be one of {', '.join(AUTHS)}, or None")
        size = parse_size(self.fetch_bytes, "fetch_bytes") if isinstance(self.fetch_bytes, str) else self.fetch_bytes
        check_whole("fetch_bytes", size, _LEAST_FETCH_BYTES, _MOST_FETCH_BYTES)
        for name, value in self.config.items():
            _check_property(name, value)
        object.__setattr__(self, "topics", topics)
        object.__setattr__(self, "config", dict(self.config))
        object.__setattr__(self, "fetch_bytes", size)

    def client_config(self) -> dict[str, Any]:
        """Return the properties of a client, with secrets: only where it is made.

        Raises:
          ConfigurationError: a variable of the environment is missing.
        """
        size = int(self.fetch_bytes)
        defaults: dict[str, Any] = {
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 200,
            # an answer that does not come is noticed soon, and holds the watermark
            "socket.timeout.ms": 10_000,
            "fetch.error.backoff.ms": 200,
            # a second by default, in which a full queue is long empty
            "fetch.queue.backoff.ms": 20,
        }
        own: dict[str, Any] = {
            "bootstrap.servers": self.brokers,
            "group.id": self.group or _NO_GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            # one half waits in the client, the other is on its way from there to the pipeline
            "queued.max.messages.kbytes": max(1, size // 2 // 1_024),
            "fetch.max.bytes": min(size // 2, _MOST_AT_ONCE),
            "message.max.bytes": min(size // 2, 1_000_000),
        }
        login = msk_iam_config(self.brokers, self.region) if self.auth == "msk-iam" else {}
        given = {name: _VARIABLE.sub(_from_environment, value) for name, value in self.config.items()}
        return {**defaults, **login, **given, **own}


def read_properties(path: str) -> dict[str, str]:
    """Return the properties in a file: `name=value`, one a line; lines that begin with # are notes.

    Raises:
      ConfigurationError: it can't be read, or a line is no property.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"kafka_config={path!r} can't be read: {exc}") from exc
    properties: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            # the line itself is not shown: it may hold a secret
            raise ConfigurationError(f"kafka_config={path!r}: line {number} must be name=value, as client.id=s3box")
        properties[name] = value
    return properties


def _check_property(name: str, value: object) -> None:
    own = _OWN.get(name)
    if own is not None:
        instead = f"give {own}" if own else "the source depends on it"
        raise ConfigurationError(f"config: {name} is set by the source itself: leave it out; {instead}")
    if not isinstance(value, str):
        raise ConfigurationError(f"config: the value of {name} must be text, as '10000'")
    if _SECRET.search(name) and not _VARIABLE.fullmatch(value):
        raise ConfigurationError(
            f"config: {name} is a secret, and must not travel with the pipeline: write {name}=${{KAFKA_SECRET}}, "
            "and set that variable of the environment where the readers run"
        )


def _from_environment(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError:
        raise ConfigurationError(
            f"config: ${{{match[1]}}} is not set in the environment where the topic is read: set that variable there"
        ) from None
