"""Consumers of librdkafka: made here, asked for partitions and offsets, and what their errors mean."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.sources.kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, TopicPartition

EARLIEST: Final = -2
LATEST: Final = -1
"""What Kafka's protocol asks for instead of a time."""

ASK_SECONDS: Final = 15.0
_PASSING: Final = (
    "_TRANSPORT",
    "_ALL_BROKERS_DOWN",
    "_RESOLVE",
    "_TIMED_OUT",
    "_TIMED_OUT_QUEUE",
    "_WAIT_COORD",
    "BROKER_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "NOT_LEADER_FOR_PARTITION",
    "OFFSET_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "REQUEST_TIMED_OUT",
    "UNKNOWN_LEADER_EPOCH",
)
_REFUSED: Final = (
    "_AUTHENTICATION",
    "_SSL",
    "CLUSTER_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "SASL_AUTHENTICATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
)
_LOGGER = logging.getLogger("beam_s3box.kafka")
_QUIET: Final = logging.getLogger("beam_s3box.kafka.librdkafka")
_QUIET.setLevel(logging.CRITICAL)
"""What librdkafka logs of connections comes here as errors, too, and would be printed several times a second."""


def new_consumer(settings: KafkaSettings, on_error: Callable[[KafkaError], None] | None = None) -> Consumer:
    """Return a consumer without partitions.

    Args:
      settings: how topics are reached.
      on_error: takes errors of connections, in the thread that polls.

    Raises:
      ConfigurationError: the client is not installed, or a property that can't work.
    """
    kafka = client_module()
    config = settings.client_config()
    try:
        consumer = kafka.Consumer(config | {"error_cb": on_error or _ignore}, logger=_QUIET)
    except (kafka.KafkaException, ValueError, TypeError) as exc:
        raise ConfigurationError(f"config: Kafka's client refuses it: {text_of(exc)}") from None
    consumer.poll(0)  # where a token is needed, this asks for it
    return cast("Consumer", consumer)


def client_module() -> Any:
    """Return the client's package.

    Raises:
      ConfigurationError: it is not installed.
    """
    try:
        import confluent_kafka
    except ImportError as exc:
        raise ConfigurationError(
            "Kafka is read with the package confluent-kafka, which is not installed: pip install confluent-kafka"
        ) from exc
    return confluent_kafka


def partitions_of(consumer: Consumer, topics: Iterable[str], seconds: float = ASK_SECONDS) -> dict[str, list[int]]:
    """Return the partitions of topics.

    Raises:
      ConfigurationError: a topic does not exist, or may not be read.
      KafkaException: no broker answers now.
    """
    kafka = client_module()
    found: dict[str, list[int]] = {}
    for topic in topics:
        meta = consumer.list_topics(topic, timeout=seconds).topics[topic]
        if meta.error is None:
            found[topic] = sorted(meta.partitions)
        elif meta.error.code() in (kafka.KafkaError.UNKNOWN_TOPIC_OR_PART, kafka.KafkaError.TOPIC_EXCEPTION):
            raise ConfigurationError(_no_topic(consumer, topic, seconds))
        elif is_passing(meta.error):
            raise kafka.KafkaException(meta.error)
        else:
            raise error_of(meta.error, f"topic {topic!r}")
    return found


def offsets_at(consumer: Consumer, partitions: Mapping[str, Iterable[int]], millis: int) -> dict[tuple[str, int], int]:
    """Return the offset of the first record of each partition that is no older than a time.

    Args:
      consumer: asks.
      partitions: by topic.
      millis: the time since 1970, or EARLIEST or LATEST.

    Raises:
      KafkaException: no broker answers now.
    """
    kafka = client_module()
    asked = [kafka.TopicPartition(topic, number, millis) for topic in partitions for number in partitions[topic]]
    if not asked:
        return {}
    found: dict[tuple[str, int], int] = {}
    later: list[TopicPartition] = []
    for one in consumer.offsets_for_times(asked, timeout=ASK_SECONDS):
        if one.error is not None:
            raise kafka.KafkaException(one.error)
        if one.offset < 0:
            later.append(kafka.TopicPartition(one.topic, one.partition, LATEST))
        else:
            found[one.topic, one.partition] = one.offset
    for one in consumer.offsets_for_times(later, timeout=ASK_SECONDS) if later else ():
        found[one.topic, one.partition] = one.offset  # nothing is so young: all that comes
    return found


def is_passing(error: KafkaError) -> bool:
    """Return whether the client itself goes on trying, so that only the watermark has to wait."""
    return _is_one_of(error, _PASSING)


def is_refused(error: KafkaError) -> bool:
    """Return whether a broker refuses the client."""
    return _is_one_of(error, _REFUSED)


def error_of(error: KafkaError, what: str) -> S3BoxError:
    """Return the error of ours for one that going on can't cure."""
    if is_refused(error):
        return ConfigurationError(
            f"Kafka refuses to let {what} be read: {error.str()}; check security.protocol and sasl.* of "
            "kafka_config, and that this user may describe and read the topic"
        )
    return S3BoxError(f"Kafka: {what} can't be read: {error.str()}")


def unreachable(settings: KafkaSettings, exc: Exception) -> ConfigurationError:
    """Return the error for brokers that do not answer before a run has begun."""
    return ConfigurationError(
        f"brokers={settings.brokers!r}: no answer ({text_of(exc)}): check host and port, that this machine may connect "
        "to them and to the addresses that they advertise, and security.protocol of kafka_config"
    )


def text_of(error: Exception) -> str:
    """Return what an error of the client says; never the value of a property."""
    inner = error.args[0] if error.args else error
    return inner.str() if hasattr(inner, "str") and hasattr(inner, "code") else str(inner)


def _no_topic(consumer: Consumer, topic: str, seconds: float) -> str:
    there = sorted(name for name in consumer.list_topics(timeout=seconds).topics if not name.startswith("__"))
    near = difflib.get_close_matches(topic, there, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; topics there: {', '.join(there[:10]) or 'none'}"
    return f"topics: there is no topic {topic!r} that this user may see{hint}"


def _is_one_of(error: KafkaError, names: tuple[str, ...]) -> bool:
    kind = client_module().KafkaError
    return error.code() in {getattr(kind, name) for name in names if hasattr(kind, name)}


def _ignore(error: KafkaError) -> None:
    """Do nothing: who asks gets the error as well."""
