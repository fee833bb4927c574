"""One heap for all threads, where the C library has one for each."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys, threading
from beam_s3box.system.heap import own_process

if sys.argv[1] == "one":
    own_process()
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


@pytest.mark.parametrize(("is_owned", "frozen"), [(False, "False"), (True, "True")])
def test_what_was_imported_is_collected_no_more_in_a_process_of_our_own(is_owned: bool, frozen: str) -> None:
    script = (
        "import gc; from beam_s3box.system.heap import own_process, settle\n"
        f"{'own_process()' if is_owned else ''}\nsettle()\nprint(gc.get_freeze_count() > 1_000)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == frozen


RESIDENT = """
import pathlib, sys
from beam_s3box.system.heap import give_back, own_process

if sys.argv[1] == "own":
    own_process()
pieces = [bytes(50_000) for _ in range(2_000)]
del pieces[:-1]  # the last one keeps what is below it
resident = lambda: int(pathlib.Path("/proc/self/statm").read_text().split()[1])
before = resident()
give_back()
print(resident() < before / 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps of glibc")
@pytest.mark.parametrize(("process", "given"), [("own", "True"), ("another's", "False")])
def test_free_memory_is_given_back_in_a_process_of_our_own(process: str, given: str) -> None:
    done = subprocess.run([sys.executable, "-c", RESIDENT, process], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == given


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps of glibc")
@pytest.mark.parametrize("heaps", ["one", "many"])
def test_threads_share_a_heap_if_told_to(heaps: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, heaps], capture_output=True, text=True, check=True)
    assert (done.stdout.count("<heap nr=") == 1) == (heaps == "one")
