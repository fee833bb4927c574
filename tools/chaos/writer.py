"""Appends records to a streamer until it is killed, and says each that was acknowledged.

`python -m tools.chaos.writer FOLDER URL FIRST`; with a negative number it uploads and lists what is left, and ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time

from beam_s3box import JsonBufferStreamer, Manifests
from beam_s3box.errors import S3BoxError
from beam_s3box.stores import open_store
from beam_s3box.streamer import StoreUploader

_ENOUGH_SECONDS = 60.0
_PAUSE_SECONDS = 0.002


def main(folder: str, url: str, first: int) -> None:
    """Write until killed, or finish what others left."""
    streamer = JsonBufferStreamer(
        StoreUploader(open_store(url)),
        folder,
        scheduler_interval=0.05,
        format="json-lines",
        compression="gzip",
        manifests=Manifests(),
    )
    if first < 0:
        streamer.flush(_ENOUGH_SECONDS)
        streamer.write_manifests()
        left = streamer.shut_down(_ENOUGH_SECONDS)
        sys.exit(f"{left} is left, {streamer.stats}" if left or streamer.stats.lost_records else 0)
    for namespace in "ab":
        streamer.open("web", namespace, size_limit=4_000, time_limit=0.5)
    numbers = itertools.count(first)

    def append(namespace: str) -> None:
        for number in numbers:
            # a full disk refuses records, which are not acknowledged then
            with contextlib.suppress(OSError, S3BoxError):
                streamer.append("web", namespace, {"i": number, "pad": "x" * (number % 97)})
                os.write(1, b"%d\n" % number)
            time.sleep(_PAUSE_SECONDS)

    for namespace in "ab":
        threading.Thread(target=append, args=(namespace,), daemon=True).start()
    while True:
        time.sleep(0.3)
        with contextlib.suppress(OSError, S3BoxError):
            streamer.write_manifests()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
