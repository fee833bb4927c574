"""A signal ends a wait, whichever thread gets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, threading
from beam_s3box.cli.console.interrupts import Interrupted, Interrupts, signals_raise

number = signal.Signals[sys.argv[1]]
signal.signal(number, signal.SIG_DFL)  # what a shell starts in the background ignores SIGINT
nothing, _open = os.pipe()

def get_signal():
    # not the thread that waits: as where the system chooses another one, or the main thread has not begun to wait
    signal.pthread_kill(threading.get_ident(), number)

with signals_raise(), Interrupts("{signal} came") as interrupts:
    threading.Timer(0.2, get_signal).start()
    print(interrupts.readable(nothing), signal.Signals(interrupts.asked).name)
try:
    with signals_raise():
        threading.Timer(0.2, get_signal).start()
        os.read(nothing, 1)
except Interrupted as exc:
    print("raised", signal.Signals(exc.number).name)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_that_another_thread_gets_ends_a_wait(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, name], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [f"False {name}", f"raised {name}"]
