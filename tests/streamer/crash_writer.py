"""Appends records until it is killed, and says each that was acknowledged: `crash_writer.py FOLDER STORE FIRST KILL_AT`.

Before that operation on files it kills itself; if KILL_AT is negative, in the middle of that write of records. 0: never.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from typing import Any

from beam_s3box.stores import LocalStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader

_OPERATIONS = {"open", "os.rename", "os.remove", "os.link", "os.truncate", "os.mkdir"}


def main(folder: str, store: str, first: int, kill_at: int) -> None:
    numbers = itertools.count(1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        ours = event in _OPERATIONS and (folder in str(arguments[0]) or store in str(arguments[0]))
        if ours and next(numbers) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    real_write = os.write

    def tear(handle: int, data: bytes) -> int:
        if data.endswith(b"}\n") and next(numbers) == -kill_at:
            real_write(handle, data[: len(data) - 1 - kill_at % 20 % (len(data) - 1)])
            os.kill(os.getpid(), signal.SIGKILL)
        return real_write(handle, data)

    if kill_at > 0:
        sys.addaudithook(watch)
    if kill_at < 0:
        os.write = tear  # type: ignore[assignment]
    streamer = JsonBufferStreamer(StoreUploader(LocalStore(store)), folder, scheduler_interval=0.01, compression="gzip")
    for namespace in "ab":
        streamer.open("web", namespace, size_limit=1_500, time_limit=0.02)
    record = itertools.count(first)

    def work(namespace: str) -> None:
        while True:
            i = next(record)
            streamer.append("web", namespace, {"i": i, "pad": "x" * (i % 97)})
            os.write(1, b"%d\n" % i)

    threading.Thread(target=work, args=("a",), daemon=True).start()
    work("b")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
