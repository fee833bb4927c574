"""A stream whose keys have the time of the window, and whose manifests are announced one by one."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

from tests.notify.web_server import web_server
from tests.readback import read_back
from tests.runners.feed import ROOT
from tests.runners.streamed import bounds_of
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.prism import Prism
from tools.seaweedfs import Server

TEMPLATE = (
    "data/domain={domain}/namespace={namespace}/dt={window_start:%Y-%m-%d}/at={window_start:%H%M%S}/"
    "{run_id}-{origin}-{sequence}-{digest}{extension}"
)


def test_each_manifest_is_announced(prism: Prism, s3_server: Server, tmp_path: pathlib.Path) -> None:
    store, now = fresh_store(s3_server), int(time.time())
    lines = [json.dumps({"d": "web", "n": f"n{i % 2}", "i": i, "t": now - i % 20}) for i in range(200)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    with web_server() as web:
        command = [
            *(sys.executable, "-m", "pipelines.stream", f"--input={tmp_path}/in.jsonl", f"--destination={store.root}"),
            *("--domain_field=d", "--namespace_field=n", "--timestamp_field=t", "--window=fixed:10"),
            *("--watermark_delay=30", "--poll_interval=1", "--stop_after=8"),
            *(f"--key_template={TEMPLATE}", f"--notify={web.url}/hook"),
            *s3_arguments(s3_server),
            *prism.options(streaming=True),
        ]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(200))
    for folder, records in found.records.items():
        for record in records:
            begin = record["t"] // 10 * 10
            assert folder == (
                f"domain=web/namespace={record['n']}/" + time.strftime("dt=%Y-%m-%d/at=%H%M%S", time.gmtime(begin))
            )
    assert {body["url"] for body in web.bodies} == {store.url(key) for key in found.manifests}
    assert {body["type"] for body in web.bodies} == {"manifest"}
    for body in web.bodies:
        begin, end = bounds_of(body["window"])
        assert end - begin == 10
    by_url = {body["url"]: body["records"] for body in web.bodies}
    assert sum(by_url.values()) == 200
