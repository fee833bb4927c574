"""The parts of the streaming demo; all of it runs with `make demo-stream`."""

from __future__ import annotations

import gzip
from pathlib import Path

from beam_s3box.jobs.stream import PARSER
from tools import demo, demo_stream


def test_the_command_is_one_that_the_job_takes(tmp_path: Path) -> None:
    command = demo_stream.stream_command(tmp_path, "http://127.0.0.1:1", Path("/bin/prism"))
    assert command[:3] == ["python", "-m", "pipelines.stream"]
    values = PARSER.parse(command[3:]).get_all_options()
    assert values["stop_after"] > demo_stream.FEED_SECONDS
    assert (values["runner"], values["destination"]) == ("PrismRunner", demo_stream.DESTINATION)


def test_files_land_whole_one_by_one_over_the_time(tmp_path: Path) -> None:
    waits: list[float] = []
    files = list(demo_stream.feed(tmp_path, 30, sleep=waits.append))
    assert sorted(tmp_path.iterdir()) == files
    assert {file.suffix for file in files} == {".jsonl"}
    assert round(sum(waits), 6) == 30
    with gzip.open(demo.ROOT / demo.SOURCE, "rb") as source:
        expected = b"".join(next(source) for _ in range(1_000))
    assert b"".join(file.read_bytes() for file in files[:2]) == expected
    assert all(file.stat().st_size for file in files)


def test_a_line_says_what_lies_in_the_bucket() -> None:
    objects = {"stream/data/a/b/1.json.gz": 1_000, "stream/data/a/b/2.json.gz": 500, "stream/manifests/r/0.manifest": 9}
    assert demo_stream.progress_of(objects, 7, 12.4) == (
        "  12 s   7 files landed     2 shards of     1,500 bytes    1 manifests"
    )
