"""A forked process has clients of its own, and waits for no lock that its parent held."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from tools.seaweedfs import Server

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = """
import os, sys, threading
from beam_s3box.stores import Credentials, S3Settings, S3Store, s3_client
from beam_s3box.stores import MemoryStore

url, key, secret = sys.argv[1:]
store = S3Store("s3://box/fork", S3Settings("us-east-1", url), lambda: Credentials(key, secret))
before = store.client
held = threading.Event()

def hold():
    # as when the fork comes while a client is made, or an object written
    with s3_client._LOCK, store._connection._lock:
        held.set()
        threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    assert store.client is not before
    list(store.list())
    MemoryStore("fork").delete("k")
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""


def test_a_child_does_not_wait_for_what_its_parent_held(s3_server: Server) -> None:
    place = [s3_server.endpoint_url, s3_server.admin.access_key, s3_server.admin.secret_key]
    command = [sys.executable, "-c", SCRIPT, *place]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert (done.stdout, done.stderr) == ("7\n", "")
