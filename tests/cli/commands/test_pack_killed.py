"""`pack` is killed at every request that it sends: what manifests list is whole, and listed once."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store
from tests.cli.conftest import PATIENCE
from tests.readback import read_back
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import REGION, Server

LINES = b"".join(json.dumps({"d": f"d{i % 2}", "n": "x", "i": i}).encode() + b"\n" for i in range(60))


def test_killed_at_every_request(
    start: Callable[..., subprocess.Popen[bytes]], s3_server: Server, note: Callable[[str], None]
) -> None:
    settings, tried, is_over = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION), 0, False
    with s3_proxy(s3_server.endpoint_url) as proxy:
        while not is_over:
            store = S3Store(f"s3://{s3_server.bucket}/{new_token(12)}", settings, s3_server.writer)
            count, lock, started = 0, threading.Lock(), threading.Event()
            process: subprocess.Popen[bytes] | None = None

            def kill(request: Request) -> Fault | None:
                """Kill it when the request has arrived, or when the server has answered it."""
                nonlocal count
                started.wait(PATIENCE)  # noqa: B023 - the rule is replaced before the next round
                with lock:  # noqa: B023
                    count += 1
                    if count != tried // 2 + 1 or process is None:  # noqa: B023
                        return None
                process.kill()  # noqa: B023
                return Fault(0, "", after=tried % 2 == 1)  # noqa: B023

            proxy.rule = kill
            process = start(
                "pack", store.root, "--domain_field=d", "--namespace_field=n", "--max_records=15", "--run_id=killed",
                env={"AWS_ENDPOINT_URL": proxy.endpoint_url},
            )  # fmt: skip
            started.set()
            process.communicate(LINES, PATIENCE)
            proxy.rule = lambda request: None
            found = read_back(store)
            numbers = [record["i"] for record in found.all_records()]
            assert len(numbers) == len(set(numbers)), "duplicated"
            is_over = process.returncode == 0
            if is_over:
                assert sorted(numbers) == list(range(60))
            else:
                assert process.returncode == -signal.SIGKILL
                tried += 1
    note(f"pack killed at {tried} points")
    assert tried > 10
