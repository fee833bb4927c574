"""What each compression level costs and saves: `python -m tools.bench.levels [MB]`; saved to `levels.json`.

Three kinds of JSON lines, cut into segments of 1 MiB as a write does: the flights that the repository ships, the log of
a web server, and clicks. Time is processor time of one core, the best of three.
"""

from __future__ import annotations

import dataclasses
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from beam_s3box.formats import JSON_LINES
from beam_s3box.formats.deflate import LEVEL
from beam_s3box.shards.packing import MAX_SEGMENT_BYTES
from tools.bench.data import make_lines
from tools.bench.measure import CACHE

LEVELS: Final = range(1, 10)
ROUNDS: Final = 3
_MB: Final = 1_000_000
_AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "curl/8.5.0",
)


def main(megabytes: int = 16) -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    kinds = {"flights": _flights(), "log": _requests(), "clicks": _clicks()}
    rows = [_row(name, level, segments) for name, segments in _cut(kinds, megabytes * _MB) for level in LEVELS]
    (CACHE / "levels.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = Table("level", *(f"{name}: {what}" for name in kinds for what in ("MB/s", "size")))
    for level in LEVELS:
        cells = [row for row in rows if row["level"] == level]
        table.add_row(
            str(level), *(text for row in cells for text in (f"{row['mb_per_second']}", f"{row['percent']} %"))
        )
    Console(width=120).print(table)
    print(f"size: of the raw bytes; level {LEVEL} is the usual one")


def _cut(kinds: dict[str, Iterator[bytes]], size: int) -> Iterator[tuple[str, list[list[bytes]]]]:
    """Yield each kind's lines, in segments."""
    for name, lines in kinds.items():
        segments: list[list[bytes]] = [[]]
        total = held = 0
        while total < size:
            line = next(lines)
            if held + len(line) > MAX_SEGMENT_BYTES:
                segments.append([])
                held = 0
            segments[-1].append(line)
            held += len(line)
            total += len(line)
        yield name, segments


def _row(name: str, level: int, segments: list[list[bytes]]) -> dict[str, Any]:
    format = dataclasses.replace(JSON_LINES, compression_level=level)
    seconds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        made = [format.cut(lines) for lines in segments]
        seconds.append(time.process_time() - begun)
    raw, compressed = sum(one.raw_bytes for one in made), sum(len(one.data) for one in made)
    return {
        "kind": name,
        "level": level,
        "mb_per_second": round(raw / min(seconds) / _MB),
        "percent": round(100 * compressed / raw, 1),
    }


def _flights() -> Iterator[bytes]:
    path = make_lines(CACHE / "flights-100000.jsonl", 100_000)
    while True:
        with path.open("rb") as file:
            yield from map(bytes.rstrip, file)


def _requests() -> Iterator[bytes]:
    """Yield lines of a web server's access log as JSON, as nginx writes them with `escape=json`."""
    chance = random.Random(1)
    visitors = [
        f"{chance.randrange(1, 224)}.{'.'.join(str(chance.randrange(256)) for _ in range(3))}" for _ in range(2_000)
    ]
    at = 1_719_792_000.0
    while True:
        at += chance.expovariate(40)
        yield json.dumps(
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at)),
                "remote_addr": chance.choice(visitors),
                "request": f"GET /products/{chance.randrange(5_000)}?page={chance.randrange(1, 9)} HTTP/1.1",
                "status": chance.choices((200, 304, 301, 404, 500), (80, 10, 4, 5, 1))[0],
                "body_bytes_sent": int(chance.lognormvariate(9, 1)),
                "request_time": round(chance.expovariate(12), 3),
                "http_referer": chance.choice(("", "https://www.example.com/", "https://www.example.com/products")),
                "http_user_agent": chance.choice(_AGENTS),
            },
            separators=(",", ":"),
        ).encode()


def _clicks() -> Iterator[bytes]:
    """Yield events of a web site's visitors, with ids that do not compress."""
    chance = random.Random(2)
    sessions = [(f"{chance.getrandbits(128):032x}", chance.choice(_AGENTS)) for _ in range(500)]
    while True:
        session, agent = chance.choice(sessions)
        yield json.dumps(
            {
                "event_id": f"{chance.getrandbits(128):032x}",
                "event": chance.choice(("page_view", "click", "scroll", "add_to_cart", "purchase")),
                "at": 1_719_792_000_000 + chance.randrange(86_400_000),
                "session": session,
                "user": {
                    "id": chance.randrange(10**9),
                    "country": chance.choice(("DE", "FR", "US", "PL")),
                    "agent": agent,
                },
                "page": {"path": f"/c/{chance.randrange(300)}", "title": f"Category {chance.randrange(300)}"},
                "properties": {"x": chance.randrange(1_920), "y": chance.randrange(5_000), "depth": chance.random()},
            },
            separators=(",", ":"),
        ).encode()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
