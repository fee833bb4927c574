"""Messages stay hidden until they are deleted, and come back where their bundle was not committed: on a real queue."""

from __future__ import annotations

import time
from typing import Any

import pytest

from beam_s3box.errors import SourceError, TransientSourceError
from beam_s3box.jobs.read.queue import messages
from beam_s3box.jobs.read.queue.messages import InFlight, Queue, receive
from tools.moto import Moto
from tools.processes import free_ports


def send(aws: Moto, queue: Queue, *bodies: str) -> None:
    for body in bodies:
        aws.client("sqs").send_message(QueueUrl=queue.url, MessageBody=body)


def left(queue: Queue) -> tuple[int, int]:
    """Return how many messages can be received, and how many are hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = queue.send("get_queue_attributes", AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


def receipts(queue: Queue) -> list[str]:
    return [message.receipt for message in receive(queue, 0)]


def test_a_message_is_received_with_when_it_was_sent(aws: Moto, queue: Queue) -> None:
    send(aws, queue, "a", "b")
    found = receive(queue, 0)
    assert sorted(message.body for message in found) == ["a", "b"]
    assert all(abs(message.sent / 1_000_000 - time.time()) < 60 for message in found)
    assert left(queue) == (0, 2)


def test_what_was_received_is_deleted_when_it_is_committed(aws: Moto, queue: Queue) -> None:
    send(aws, queue, *map(str, range(12)))
    hidden, found = InFlight(queue), [*receipts(queue), *receipts(queue)]
    hidden.add(found, turn=0)
    assert (len(hidden), left(queue)) == (12, (0, 12))
    hidden.commit(found)
    assert (len(hidden), left(queue)) == (0, (0, 0))


def test_it_stays_hidden_for_as_long_as_that_takes(aws: Moto, queue: Queue) -> None:
    send(aws, queue, "a")
    hidden, found = InFlight(queue), receipts(queue)
    hidden.add(found, turn=0)
    for _ in range(6):
        time.sleep(0.7)
        hidden.keep()
    assert receipts(queue) == []
    hidden.commit(found)
    assert left(queue) == (0, 0)


def test_what_nobody_keeps_comes_back(aws: Moto, queue: Queue) -> None:
    send(aws, queue, "a")
    assert len(receipts(queue)) == 1
    assert len(receive(queue, 4)) == 1


def test_a_turn_that_is_done_again_gets_its_messages_at_once(aws: Moto, queue: Queue) -> None:
    queue = queue._replace(visibility=600)
    send(aws, queue, "old", "new")
    [old, new], hidden = receive(queue, 0), InFlight(queue)
    hidden.add([old.receipt], turn=3)
    hidden.add([new.receipt], turn=4)
    hidden.begin(turn=5)
    assert left(queue) == (0, 2)
    hidden.begin(turn=4)
    assert [message.body for message in receive(queue, 1)] == [new.body]
    assert len(hidden) == 1


def test_what_is_not_committed_for_half_an_hour_is_let_go(queue: Queue) -> None:
    """A runner that lost the bundle never says so."""
    now = [0.0]
    hidden = InFlight(queue, clock=lambda: now[0])
    hidden.add(["gone"], turn=0)
    now[0] = messages.LONGEST_SECONDS + 1
    hidden.keep()
    assert len(hidden) == 0


def test_a_deletion_that_fails_is_made_later(aws: Moto, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    send(aws, queue, "a")
    hidden, found = InFlight(queue), receipts(queue)
    hidden.add(found, turn=0)
    with monkeypatch.context() as patch:
        patch.setattr(Queue, "send", failing(TransientSourceError("no answer")))
        hidden.commit(found)
    assert len(hidden) == 1
    hidden.begin(turn=1)
    hidden.keep()
    assert (len(hidden), left(queue)) == (0, (0, 0))


def test_a_deletion_that_is_refused_fails_the_next_turn(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = InFlight(queue)
    monkeypatch.setattr(Queue, "send", failing(SourceError("sqs:DeleteMessage is denied")))
    hidden.commit(["a"])
    with pytest.raises(SourceError, match="DeleteMessage is denied"):
        hidden.begin(turn=1)


def failing(error: SourceError) -> Any:
    def send(self: Queue, operation: str, **parameters: Any) -> Any:
        raise error

    return send


def test_no_such_queue_says_what_to_do(queue: Queue) -> None:
    with pytest.raises(
        SourceError, match=r"receive_message .*-gone: .*NonExistentQueue: .*; create the queue, or correct"
    ):
        receive(queue._replace(url=f"{queue.url}-gone"), 0)


def test_a_queue_that_does_not_answer_may_answer_later(queue: Queue) -> None:
    (port,) = free_ports(1)
    away = queue._replace(settings=queue.settings._replace(endpoint_url=f"http://127.0.0.1:{port}"))
    with pytest.raises(TransientSourceError, match="EndpointConnectionError"):
        receive(away, 0)
