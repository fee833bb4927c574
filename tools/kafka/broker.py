"""A real Kafka broker of one process (KRaft), which can be killed and started again with its data.

`python -m tools.kafka.broker` runs one in the foreground and prints its address.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

from tools.java import java_command
from tools.maven import Jars
from tools.processes import Server, accepts, free_ports, running

KAFKA = Jars("kafka", Path(__file__).with_name("pom.xml"))
"""45 MB."""

_FLAGS = ("-Xms128m", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
_SECONDS = 30.0
_CLUSTER = "YmVhbV9zM2JveCB0ZXN0cw"
# 16 bytes in base64 without padding. Drawn at random, one of 64 begins with a dash, and Kafka reads that as an option.


class KafkaBroker:
    """A broker that answers; made by `kafka_broker`.

    Attributes:
      address: host and port.
    """

    def __init__(self, address: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.address = address
        self._folder = folder
        self._stack = stack
        self._starts = 0
        self._server: Server | None = None

    def start(self) -> None:
        """Start the broker, also after it was killed, and wait until it answers.

        Raises:
          RuntimeError: it did not come up; the message shows its last lines.
        """
        self._starts += 1
        command = _java("kafka.Kafka", self._folder, str(self._folder / "server.properties"))
        log = self._folder / f"broker-{self._starts}.log"
        self._server = self._stack.enter_context(running("Kafka's broker", command, log))
        port = int(self.address.rpartition(":")[2])
        self._server.wait_until(functools.partial(accepts, port))
        self._server.wait_until(self._answers, KafkaException)

    def kill(self) -> None:
        """Kill the broker by SIGKILL; its data stay."""
        assert self._server is not None
        self._server.kill()

    def create_topic(self, topic: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Create a topic."""
        made = self._admin.create_topics([NewTopic(topic, partitions, 1, config=dict(config or {}))])
        made[topic].result(_SECONDS)

    def add_partitions(self, topic: str, total: int) -> None:
        """Let a topic have so many partitions."""
        self._admin.create_partitions([NewPartitions(topic, total)])[topic].result(_SECONDS)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Remove the records of a partition before an offset, as its retention does."""
        place = TopicPartition(topic, partition, before)
        self._admin.delete_records([place])[place].result(_SECONDS)

    @functools.cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def _answers(self) -> None:
        self._admin.list_topics(timeout=5)


@contextlib.contextmanager
def kafka_broker(folder: Path) -> Iterator[KafkaBroker]:
    """Start a broker, and kill it at the end, however that comes.

    Args:
      folder: for its data and logs; it must be empty.

    Raises:
      RuntimeError: Java or Maven is missing, or it did not come up; the message shows its last lines.
    """
    port, controller = free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(_properties(folder, port, controller))
    command = _java("kafka.tools.StorageTool", folder, "format", "-t", _CLUSTER, "-c", str(properties))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Kafka's storage can't be formatted:\n{done.stdout[-2000:]}")
    with contextlib.ExitStack() as stack:
        broker = KafkaBroker(f"127.0.0.1:{port}", folder, stack)
        broker.start()
        yield broker


def _java(main: str, folder: Path, *arguments: str) -> list[str]:
    return java_command(KAFKA.folder(), folder, _FLAGS, main, arguments)


def _properties(folder: Path, port: int, controller: int) -> str:
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "data",
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        # compaction of a test's topic is not to wait
        "log.cleaner.backoff.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def main() -> None:
    """Run a broker until Ctrl-C or SIGTERM."""
    # as an exception, so that the broker is stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True) as folder,
        kafka_broker(Path(folder)) as broker,
    ):
        print(broker.address)
        print("# Ctrl-C stops it", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
