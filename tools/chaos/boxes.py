"""A script with an `S3Box`: `python -m tools.chaos.boxes URL` packs the lines of standard input and lists them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import sys
from pathlib import Path

from beam_s3box import S3Box
from beam_s3box.errors import RecordError
from tests.checker.committed import committed_ids
from tools.chaos.attempts import Attempts
from tools.chaos.counting import Counted, count_whole_runs
from tools.chaos.world import Round

_THREADS = 4


class Boxes(Attempts):
    """A script that has a run of its own each time: each that finished has every record."""

    def count(self, round: Round, source: Path) -> Counted:
        return count_whole_runs(committed_ids(self.place(round), "i"), range(self._records))


def main(url: str) -> None:
    """Pack and list."""
    with S3Box(url, buffer_size=20_000) as box, concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:

        def pack(line: bytes) -> None:
            with contextlib.suppress(RecordError):
                box.pack(line)

        for _ in threads.map(pack, sys.stdin.buffer):
            pass
    box.create_manifests(count=3)


if __name__ == "__main__":
    main(sys.argv[1])
