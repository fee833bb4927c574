"""The independent check finds nothing wrong with a run of this package, and every way in which a run could be wrong."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import Manifests, StreamLimits, WriteToS3Box
from beam_s3box.shards.runs import new_token
from tests.checker.__main__ import main
from tests.checker.committed import committed_ids
from tests.checker.places import Folder
from tools import soak
from tools.seaweedfs import Server

RECORDS = [{"i": number, "d": "web", "n": f"n{number % 2}", "t": 1_000_000_000 + number} for number in range(100)]
Break = Callable[[Path], None]


def write(destination: str, manifests: Manifests) -> None:
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        timed = [TimestampedValue(json.dumps(record), record["t"]) for record in RECORDS]
        (
            pipeline
            | beam.Create([*timed, TimestampedValue("no record", 1_000_000_000)])
            | WriteToS3Box(
                destination,
                domain_field="d",
                namespace_field="n",
                windowing=FixedWindows(60),
                limits=StreamLimits(max_records=20),
                manifests=manifests,
                run_id="r-1",
            )
        )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    write(str(folder), Manifests(count=2))
    (tmp_path / "fed.jsonl").write_text("\n".join([*map(json.dumps, RECORDS), "", "no record"]))
    return folder


def check(folder: Path, *more: str) -> int:
    source = folder.with_name("fed.jsonl")
    return main([str(folder), str(source), "--id_field=i", "--time_field=t", "--stream_fields", "d", "n", *more])


def test_nothing_is_wrong_with_a_whole_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(run) == 0
    out = capsys.readouterr().out
    assert "8 manifests, 0 of them not the first of their window; 8 listed shards, 0 unlisted" in out
    assert "100 records of 2 streams in 3 windows, 0 outside of theirs; " in out
    assert out.endswith("; 1 dead letters\n101 source lines\nnothing is wrong\n")


def test_manifests_of_the_whole_run_on_s3(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    destination = f"s3://{s3_server.bucket}/{new_token(12)}"
    write(destination, Manifests(per="run"))
    assert main([destination, "--id_field=i"]) == 0
    assert "3 manifests" in capsys.readouterr().out


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


def lose_a_shard(run: Path) -> None:
    first(run, "data/**/*.gz").unlink()


def lose_a_manifest(run: Path) -> None:
    first(run, "manifests/**/00001.manifest").with_name("00000.manifest").unlink()


def list_twice(run: Path) -> None:
    path = first(run, "manifests/**/*.manifest")
    entries = json.loads(path.read_text())["entries"]
    path.write_text(json.dumps({"entries": entries * 2}))


def empty_a_manifest(run: Path) -> None:
    first(run, "manifests/**/*.manifest").write_text('{"entries": []}')


def miscount(run: Path) -> None:
    path = first(run, "manifests/**/00001.manifest")
    path.write_text(path.read_text().replace('"record_count": ', '"record_count": 1'))


def allow_to_miss(run: Path) -> None:
    path = first(run, "manifests/**/*.manifest")
    path.write_text(path.read_text().replace("true", "false"))


def spoil_a_shard(run: Path) -> None:
    path = first(run, "data/**/*.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"web", b"bew")))


def mix_windows(run: Path) -> None:
    one, other = sorted(run.glob("manifests/*/web/n0/*"))[:2]
    moved = first(one, "*.manifest")
    moved.rename(other / moved.name.replace("00000", "00002", 1))


def mix_streams(run: Path) -> None:
    one, other = sorted(run.glob("manifests/*/web/*"))[:2]
    moved = first(one, "*/*.manifest")
    moved.rename(other / moved.parent.name / moved.name.replace("00000", "00002", 1))


def write_a_firing_again(run: Path) -> None:
    path = first(run, "manifests/**/00001.manifest").with_name("00000.manifest")
    path.rename(path.with_name("00002.manifest"))


def rename_a_shard(run: Path) -> None:
    path = first(run, "data/**/*.gz")
    path.rename(path.with_name("shard.json.gz"))


def list_elsewhere(run: Path) -> None:
    path = first(run, "manifests/**/*.manifest")
    path.write_text(path.read_text().replace('"file://', '"s3:/'))


def count_in_fractions(run: Path) -> None:
    path = first(run, "manifests/**/*.manifest")
    path.write_text(re.sub(r'("record_count": \d+)', r"\1.0", path.read_text()))


def replace_a_shard(run: Path, body: bytes) -> None:
    """Replace the first shard, under the key that fits its content."""
    path = first(run, "data/**/*.gz")
    name = f"{path.name.rpartition('-')[0]}-{hashlib.sha256(body).hexdigest()[:12]}.json.gz"
    for manifest in run.glob("manifests/**/*.manifest"):
        entries = json.loads(manifest.read_text())["entries"]
        for entry in entries:
            if entry["url"].endswith(path.name):
                entry["url"] = entry["url"].replace(path.name, name)
                entry["meta"]["content_length"] = len(body)
        manifest.write_text(json.dumps({"entries": entries}))
    path.rename(path.with_name(name)).write_bytes(body)


def append_a_gzip_member(run: Path) -> None:
    replace_a_shard(run, first(run, "data/**/*.gz").read_bytes() * 2)


def cut_a_shard_short(run: Path) -> None:
    replace_a_shard(run, first(run, "data/**/*.gz").read_bytes()[:-1])


def write_no_object(run: Path) -> None:
    replace_a_shard(run, gzip.compress(b"[]\n"))


def mix_streams_in_a_shard(run: Path) -> None:
    text = gzip.decompress(first(run, "data/web/n0/**/*.gz").read_bytes())
    replace_a_shard(
        run, gzip.compress(text.replace(b'"n": "n0"', b'"n": "n1"', 1).replace(b'"n":"n0"', b'"n":"n1"', 1))
    )


def forget_the_run(run: Path) -> None:
    first(run, "runs/*.json").unlink()


def forget_what_was_rejected(run: Path) -> None:
    first(run, "dead-letters/**/*.gz").unlink()


def feed_something_else(run: Path) -> None:
    source = run.with_name("fed.jsonl")
    source.write_text(source.read_text().replace('"web"', '"bew"', 1))


def feed_twice(run: Path) -> None:
    source = run.with_name("fed.jsonl")
    source.write_text(source.read_text() + "\n" + source.read_text())


def feed_more(run: Path) -> None:
    source = run.with_name("fed.jsonl")
    source.write_text(source.read_text() + '\n{"i": "more"}')


def feed_less(run: Path) -> None:
    source = run.with_name("fed.jsonl")
    source.write_text(source.read_text().split("\n", 1)[1])


@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (lose_a_shard, "does not exist"),
        (lose_a_manifest, "is in the record, but missing"),
        (miscount, "not the manifest that the run's record lists"),
        (mix_windows, "is not in the record"),
        (forget_the_run, "runs/r-1.json: does not exist"),
        (lose_a_manifest, "shards are in no manifest"),
        (lose_a_manifest, "source records are in no listed shard"),
        (lose_a_manifest, "its parts are [1]"),
        (list_twice, "is listed twice"),
        (list_elsewhere, "not a URL of this destination"),
        (empty_a_manifest, "not JSON with a list of entries"),
        (miscount, "records, listed as"),
        (count_in_fractions, "records, listed as"),
        (allow_to_miss, "is not mandatory"),
        (spoil_a_shard, "its content is not that of its key"),
        (append_a_gzip_member, "not one whole gzip member"),
        (cut_a_shard_short, "not one whole gzip member"),
        (write_no_object, "has a line that is not a JSON object"),
        (mix_streams_in_a_shard, "2 folders have 2 values of d and n, in 3 combinations"),
        (mix_windows, "its manifest of web/n0/20010909T014"),
        (mix_streams, "its manifest of web/n1/"),
        (write_a_firing_again, "its parts are [1, 2]"),
        (rename_a_shard, "shard.json.gz: not the key of a run"),
        (forget_what_was_rejected, "1 rejected lines are not among the dead letters: no record"),
        (feed_something_else, '1 source records are in no listed shard: {"d":"bew","i":0,'),
        (feed_something_else, '1 records have no source: {"d":"web","i":0,'),
        (feed_twice, "100 source records are in no listed shard"),
        (feed_more, '1 source records are in no listed shard: {"i":"more"}'),
        (feed_less, '1 records have no source: {"d":"web","i":0,'),
    ],
)
def test_what_is_wrong_is_found(run: Path, capsys: pytest.CaptureFixture[str], breaks: Break, fault: str) -> None:
    breaks(run)
    assert check(run) == 1
    assert fault in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--times=2"], "100 ids not 2 times: 0, "),
        (["--outside=1"], "0 records are outside of their window, not 1"),
        (["--time_field=i"], "100 records are outside of their window, not 0"),
        (["--id_field=d"], "1 ids not 1 times: web"),
    ],
)
def test_what_is_said_of_the_records_is_checked(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
) -> None:
    assert check(run, *arguments) == 1
    assert fault in capsys.readouterr().out


def test_unlisted_shards_may_be_allowed(run: Path) -> None:
    shard = first(run, "data/**/*.gz")
    shard.with_name(shard.name.replace("-0000", "-7000")).write_bytes(shard.read_bytes())
    assert check(run) == 1
    assert check(run, "--may_be_unlisted") == 0


def test_one_of_several_runs_is_named(run: Path) -> None:
    (run / "manifests" / "r-2").mkdir()
    (run / "manifests" / "r-2" / "00000.manifest").write_text("{}")
    with pytest.raises(SystemExit, match="has manifests of 2 runs"):
        check(run)
    assert check(run, "--run_id=r-1") == 0


# ---------------------------------------------------------------- the load that it is for


def test_the_load_changes_and_is_known() -> None:
    assert sum(phase.share for phase in soak.CYCLE) == pytest.approx(1)
    names = [soak.phase_at(second, 60).name for second in range(120)]
    assert set(names) == {phase.name for phase in soak.CYCLE}
    assert names[:60] == names[60:]
    fed, now = soak.Fed(), 2_000_000_000.0
    lines = list(soak.lines_of(soak.CYCLE[0], fed, random.Random(1), now))
    records = [json.loads(line) for line in lines[:-1]]
    assert [record["i"] for record in records] == list(range(fed.records)) == list(range(300))
    behind = [now - record["t"] for record in records if "t" in record]
    assert sum(30 < seconds < 60 for seconds in behind) == fed.late > 0
    assert sum(abs(seconds) > 3_000 for seconds in behind) == fed.displaced > 0
    assert len(behind) == len(records) - 1
    assert lines[-1] == "no record 0"


def test_the_ids_that_count_over_all_runs(run: Path) -> None:
    whole = dict.fromkeys(range(100), 1)
    assert committed_ids(Folder(str(run)), "i") == {"r-1": whole}
    record = run / "runs/r-1.json"
    text = record.read_text()
    record.write_text(json.dumps({**json.loads(text), "state": "running"}))
    assert committed_ids(Folder(str(run)), "i") == {"r-1": {}}
    # as of a streamer that was killed before it wrote one: all of its manifests count
    record.unlink()
    assert committed_ids(Folder(str(run)), "i") == {"r-1": whole}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("manifests/**/*.manifest", "is not what the record of its run lists"),
        ("data/**/*.gz", "bytes and 0 records, not"),
    ],
)
def test_what_was_changed_does_not_count(run: Path, pattern: str, message: str) -> None:
    path = min(run.glob(pattern))
    path.write_bytes(gzip.compress(b"") if path.suffix == ".gz" else path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=message):
        committed_ids(Folder(str(run)), "i")
