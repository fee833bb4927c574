"""A backfill into windows by event time, on every engine: each record once, in the folder of its hour, and listed."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from beam_s3box.engine.run_record import RunRecord
from tests.readback import read_back
from tests.runners.feed import ROOT
from tests.runners.test_bounded_windows import DIRECT, options_of
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.seaweedfs import Server

RECORDS = 3_000
HOURS = 40
TEMPLATE = (
    "data/domain={domain}/namespace={namespace}/dt={window_start:%Y-%m-%d}/hour={window_start:%H}/"
    "{run_id}-{origin}-{sequence:05d}-{digest}{extension}"
)


def record(number: int) -> dict[str, object]:
    day, hour = divmod(number % HOURS, 24)
    return {"d": "web", "n": f"n{number % 3}", "at": f"2019-12-{30 + day}T{hour:02d}:00:00.5Z", "i": number}


@pytest.mark.parametrize("name", [DIRECT, "prism", "flink_local", "flink_cluster"])
def test_history_lands_by_event_time(
    name: str, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, folder = fresh_store(s3_server), tmp_path / "history"
    folder.mkdir()
    for part in range(4):
        lines = [json.dumps(record(number)) for number in range(part, RECORDS, 4)]
        (folder / f"{part}.jsonl").write_text("\n".join([*lines, '{"d": "web", "n": "n0", "at": "never"}']))
    command = [
        *(sys.executable, "-m", "pipelines.backfill", f"--input={folder}/*.jsonl", f"--destination={store.root}"),
        *("--domain_field=d", "--namespace_field=n", "--timestamp_field=at", "--window=fixed:1h"),
        *(f"--key_template={TEMPLATE}", "--run_id=history"),
        *s3_arguments(s3_server),
        *options_of(name, request),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    found = read_back(store)
    assert sorted(found.all_records(), key=lambda one: int(one["i"])) == list(map(record, range(RECORDS)))
    assert (found.unlisted, len(found.records)) == ([], 3 * HOURS)
    for path, records in found.records.items():
        for one in records:
            day, hour = one["at"][:10], one["at"][11:13]
            assert path == f"domain=web/namespace={one['n']}/dt={day}/hour={hour}"
    assert [letter["reason"] for letter in found.dead_letters] == ["bad-timestamp"] * 4
    manifests = RunRecord.parse("", store.get("runs/history.json")).manifests
    assert len(manifests) == len({(manifest.namespace, manifest.window) for manifest in manifests}) == 3 * HOURS
