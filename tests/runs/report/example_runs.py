"""Runs for the tests of reports: small real ones, and large ones that exist as rows only."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from typing import Any

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.engine.input_totals import DeadLetterReason
from beam_s3box.engine.run_reader import Run
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.engine.run_totals import RunInput, StreamTotals
from beam_s3box.engine.shard_lists import ListedShard
from beam_s3box.shards import packing
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores import MemoryStore, ObjectInfo

BEGAN = datetime.datetime(2026, 11, 29, 2, 0, tzinfo=datetime.UTC)
LIMIT = 64 * MiB
HOSTILE = (
    "<script>document.title='owned'</script>",
    "</td></table><img src=x onerror=\"document.title='owned'\">",
    "\" onmouseover='alert(1)' x=\"",
    "</style><style>body{display:none}",
    "\u202egnp.exe\u2066\x1b]0;owned\x07\x00",
    "]]>--><!--",
)
"""What a name, a dead letter or a path may be, as others choose it."""


class ManyShards(Run):
    """A run whose shards are made as they are read.

    Attributes:
      number: of shards.
      stream_count: of streams.
    """

    number: int
    stream_count: int

    def shards(self) -> Iterator[ListedShard]:
        source = random.Random(7)
        bounded = self.record.bounded
        begin = BEGAN.timestamp()
        for at in range(self.number):
            stream = int(self.stream_count * source.random() ** 2)
            minute = int(source.random() * 240)
            window = "" if bounded else window_name(minute)
            arrived = begin + 60 * minute + source.random() * 50
            if bounded:
                is_full = source.random() < 0.8
                size = int(LIMIT * (0.98 + 0.02 * source.random())) if is_full else int(LIMIT * source.random())
                why = packing.BY_OBJECT_BYTES if is_full else packing.BY_BUNDLE_END
                listed = begin + 14_400
            else:
                size = int(source.lognormvariate(11.5, 1))
                is_late = source.random() < 0.03
                why = packing.BY_LATENESS if is_late else packing.BY_WINDOW_END
                listed = begin + 60 * (minute + 1) + source.expovariate(1 / 8) + 200 * is_late
            raw_bytes = int(size * source.gauss(6.5, 0.6))
            key = f"data/web/{name_of(stream)}/{at}"
            file = ShardFile(
                "web",
                name_of(stream),
                window,
                self.store.url(key),
                key,
                raw_bytes // 310,
                raw_bytes,
                size,
                "",
                why,
                0.0 if bounded else arrived,
                arrived + 20,
            )
            yield ListedShard(file, f"manifests/{stream}-{window}", "", int(why == packing.BY_LATENESS), listed)

    def dead_letter_files(self) -> Iterator[ObjectInfo]:
        return iter(())


def many_shards(number: int, stream_count: int, *, bounded: bool = True, **record: Any) -> ManyShards:
    """Return a finished run of so many shards and streams, whose record has dead letters."""
    reasons = tuple(
        DeadLetterReason.of(DeadLetter(None, None, reason, text, text.encode(), text, 7), count)
        for reason, count, text in (
            ("missing-stream", 1_203, HOSTILE[0]),
            ("not-json", 87, HOSTILE[4]),
            ("too-large", 2, HOSTILE[1]),
        )
    )
    values: dict[str, Any] = {
        "run_id": "nightly-2026-11-29",
        "attempt": new_token(),
        "bounded": bounded,
        "state": "finished",
        "began": f"{BEGAN:%Y-%m-%dT%H:%M:%SZ}",
        "ended": f"{BEGAN + datetime.timedelta(hours=4):%Y-%m-%dT%H:%M:%SZ}",
        "kind": "backfill" if bounded else "stream",
        "version": "1.0.0",
        "runner": "FlinkRunner",
        "job_name": HOSTILE[2],
        "settings": {"limits": f"StreamLimits(max_object_bytes={LIMIT})", "input": list(HOSTILE)},
        "input": RunInput(accepted=10**12, rejected=1_292, reasons=reasons, bad_files=((HOSTILE[1], 40),)),
        "streams": tuple(
            StreamTotals(domain="web", namespace=name_of(one), dead_letters={"too-large": 3 * (one % 9 == 0)})
            for one in range(stream_count)
        ),
    }
    run = ManyShards(MemoryStore(new_token(8)), RunRecord(**{**values, **record}), ObjectInfo("r", 1, None, 0.0))
    object.__setattr__(run, "number", number)
    object.__setattr__(run, "stream_count", stream_count)
    return run


def name_of(stream: int) -> str:
    """Return the name of a stream; some are hostile."""
    return HOSTILE[stream] if stream < len(HOSTILE) else f"events-{stream:05d}"


def window_name(minute: int) -> str:
    """Return the name of a window of a minute, as keys have it."""
    begin = BEGAN + datetime.timedelta(minutes=minute)
    end = begin + datetime.timedelta(minutes=1)
    return f"{begin:%Y%m%dT%H%M%SZ}-{end:%Y%m%dT%H%M%SZ}"
