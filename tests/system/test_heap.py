"""One heap for all threads, where the C library has one for each."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys, threading
from beam_s3box.system.heap import keep_one_heap

if sys.argv[1] == "one":
    keep_one_heap()
libc = ctypes.CDLL(None)
held = []
threads = [threading.Thread(target=lambda: held.append(bytearray(50_000))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps of glibc")
@pytest.mark.parametrize("heaps", ["one", "many"])
def test_threads_share_a_heap_if_told_to(heaps: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, heaps], capture_output=True, text=True, check=True)
    assert (done.stdout.count("<heap nr=") == 1) == (heaps == "one")
