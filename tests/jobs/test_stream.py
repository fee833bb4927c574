"""The streaming job on this side of the runners: what it refuses, what it builds, and what it says at the end."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest

from beam_s3box.cli.main import main
from beam_s3box.cli.options.reporting import reporting_of
from beam_s3box.errors import ConfigurationError, StoreError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.stream import packing_of
from beam_s3box.jobs.options.windows import MICROS, timing_of
from beam_s3box.jobs.options.write import write_of
from beam_s3box.jobs.read.stream import ReadStream
from beam_s3box.jobs.read.watch import FoundFile
from beam_s3box.jobs.run.job import Job, _execute, new_pipeline, write_summary
from beam_s3box.jobs.run.logging import JobLog, job_logging
from beam_s3box.jobs.run.progress import Progress
from beam_s3box.jobs.stream import PARSER, prepare
from beam_s3box.stores import MemoryStore, open_store
from tests.jobs.conftest import Ended

NAMING = ("--domain_field=d", "--namespace_field=n")
FOUND = 1_700_000_000


@pytest.fixture
def stream(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The job, run in this process."""

    def run(*arguments: str) -> Ended:
        return Ended(main(["stream", *arguments]), *capfd.readouterr(), 0)

    return run


@pytest.fixture
def log() -> Iterator[JobLog]:
    with job_logging() as log:
        yield log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: --runner is missing: a streaming job runs on PrismRunner on this machine, FlinkRunner,"),
        (["--runner=FnApiRunner"], "error: the input is unbounded, and FnApiRunner does not hold back the watermark"),
        (["--runner=DirectRunner"], "error: the input is unbounded, and DirectRunner does not hold back the watermark"),
        (
            ["--runner=PrismRunner", "--input=/none/*.jsonl"],
            "error: --input='/none/*.jsonl' can't be watched: '/none' is no folder",
        ),
        (["--runner=PrismRunner", "--window=hourly"], "error: --window='hourly' must be fixed:SECONDS"),
        (
            ["--runner=PrismRunner", "--triggering_frequency=0"],
            "error: --triggering_frequency: '0' must be a number of seconds above 0",
        ),
        (["--runner=PrismRunner", "--lanes=0"], "error: lanes=0 must be a whole number"),
        (["--runner=PrismRunner", "--max_object_bytes=1"], "error: max_object_bytes=1 must be a whole number"),
        (
            ["--runner=PrismRunner", "--poll_interval=often"],
            "error: --poll_interval: 'often' must be a number of seconds",
        ),
        (
            ["--runner=FlinkRunner", "--checkpointing_interval=9", "--finish_bundle_before_checkpointing=no"],
            "error: --finish_bundle_before_checkpointing: 'no' must be true or false",
        ),
    ],
)
def test_what_can_not_work_ends_before_any_work(
    stream: Callable[..., Ended], tmp_path: pathlib.Path, arguments: list[str], message: str
) -> None:
    given = arguments if any(one.startswith("--input") for one in arguments) else [f"--input={tmp_path}/*", *arguments]
    ended = stream("--destination=memory://never-streamed", *NAMING, *given)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 1
    assert list(MemoryStore("never-streamed").list()) == []


def test_no_input_is_refused(stream: Callable[..., Ended]) -> None:
    ended = stream("--destination=memory://a", *NAMING, "--runner=PrismRunner")
    assert (ended.code, ended.err[:27]) == (2, "error: --input is missing: ")


def test_help_costs_nothing(stream: Callable[..., Ended]) -> None:
    ended = stream("--help")
    assert ended.code == 0
    assert ended.out.startswith("usage: s3box stream")


def job_of(folder: pathlib.Path, log: JobLog, *arguments: str) -> Job:
    common = (
        f"--input={folder}/*.jsonl",
        "--destination=memory://built",
        *NAMING,
        "--runner=PrismRunner",
        "--run_id=r",
    )
    return prepare(PARSER.parse([*common, *arguments]), log)


def steps_of(job: Job) -> list[str]:
    proto = job.pipeline.to_runner_api()
    return sorted(step.unique_name for step in proto.components.transforms.values())


@pytest.mark.parametrize(
    "arguments", [[], ["--stop_after=3"], ["--stop_after=3", "--window=sliding:60:20", "--lanes=3"]]
)
def test_steps_have_unique_names_that_stay(tmp_path: pathlib.Path, log: JobLog, arguments: list[str]) -> None:
    names = steps_of(job_of(tmp_path, log, *arguments))
    assert len(set(names)) == len(names)
    assert names == steps_of(job_of(tmp_path, log, *arguments))
    ours = [name for name in names if not any(part in name for part in ("/SpreadRanges/", "Reshuffle", "/Seed"))]
    assert not [name for name in ours if "lambda" in name or " at 0x" in name]
    tops = {name.partition("/")[0] for name in names if "/" in name}
    assert tops == {"WatchFiles", "ReadStream", "WriteToS3Box", "WriteSummary"}


def test_a_service_has_no_end_until_it_is_stopped(tmp_path: pathlib.Path, log: JobLog) -> None:
    assert job_of(tmp_path, log).is_endless
    assert not job_of(tmp_path, log, "--stop_after=3").is_endless


def test_the_pipeline_is_streaming_and_its_windows_are_the_options(tmp_path: pathlib.Path, log: JobLog) -> None:
    job = job_of(tmp_path, log, "--window=fixed:7", "--allowed_lateness=5")
    assert job.pipeline.options.get_all_options()["streaming"] is True
    strategies = job.pipeline.to_runner_api().components.windowing_strategies.values()
    assert 4_205_000 in {one.allowed_lateness for one in strategies}


@pytest.mark.parametrize("runner", ["FlinkRunner", "flink", "PortableRunner"])
@pytest.mark.parametrize("interval", [[], ["--checkpointing_interval=1000"], ["--", "--checkpointing_interval=1000"]])
def test_flink_never_takes_a_checkpoint_within_a_bundle(
    runner: str, interval: list[str], tmp_path: pathlib.Path, log: JobLog
) -> None:
    flags = [f"--runner={runner}", "--environment_type=LOOPBACK", *interval]
    options = job_of(tmp_path, log, *flags).pipeline.options
    values = options.get_all_options(retain_unknown_options=True)
    assert values["finish_bundle_before_checkpointing"] is True
    assert values["checkpointing_interval"] == (1000 if interval else None)


def test_whoever_wants_that_on_flink_is_refused(stream: Callable[..., Ended], tmp_path: pathlib.Path) -> None:
    flags = ["--runner=FlinkRunner", "--finish_bundle_before_checkpointing=false"]
    ended = stream(f"--input={tmp_path}/*", "--destination=memory://never-streamed", *NAMING, *flags)
    assert (ended.code, ended.out) == (2, "")
    assert "finish_bundle_before_checkpointing=False loses records on Flink" in ended.err


def test_a_template_is_made_without_a_look_at_what_is_there(tmp_path: pathlib.Path, log: JobLog) -> None:
    given = ["--input=/none/*.jsonl", f"--destination={tmp_path}/file/below", *NAMING]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        prepare(PARSER.parse([*given, "--runner=PrismRunner"]), log)
    # it gets as far as the runner, which misses options of its own
    with pytest.raises(ConfigurationError, match="staging_location"):
        prepare(PARSER.parse([*given, "--runner=DataflowRunner", "--template_location=gs://box/template"]), log)


def run_on_files(log: JobLog, files: list[FoundFile], *arguments: str) -> int:
    """Run the job's parts on files that are all there: bounded, so on Beam's fast local runner."""
    options = PARSER.parse(["--runner=FnApiRunner", "--input=landing", *NAMING, *arguments])
    write = write_of(options, stream=packing_of(options))
    pipeline = new_pipeline(options)
    created = pipeline | beam.Create(files).with_output_types(FoundFile)
    read = created | "ReadStream" >> ReadStream(timing_of(options))
    result = read.lines | "WriteToS3Box" >> write.transform
    write_summary(write, result, read.counts)
    return _execute(Job(pipeline, write, reporting_of(given_of(options))), Progress(), log)


def landed(folder: pathlib.Path, number: int, *more: str) -> list[FoundFile]:
    records = [{"d": "web", "n": f"e{i % 2}", "i": i, "t": FOUND - i % 20} for i in range(number)]
    path = folder / "a.jsonl"
    path.write_text("\n".join([*map(json.dumps, records), *more]))
    return [(str(path), path.stat().st_size, FOUND * MICROS, "")]


def test_totals_are_told_by_window_and_what_counts_for_its_arrival(
    tmp_path: pathlib.Path, log: JobLog, capsys: pytest.CaptureFixture[str]
) -> None:
    files = landed(tmp_path, 40, "no record", '{"d": "web", "n": "e0", "t": "2001-01-01"}')
    report_path = tmp_path / "report.json"
    given = ["--destination=memory://streamed", "--window=fixed:10", "--timestamp_field=t", f"--report={report_path}"]
    assert run_on_files(log, files, *given) == 0
    report: dict[str, Any] = json.loads(report_path.read_text())
    assert (report["records_in"], report["records_listed"], report["dead_letters"]) == (42, 41, 1)
    # the times of both streams touch two windows of 10 s, and one stream's last record is at the beginning of a third
    assert len(report["manifests"]) == 5
    out = capsys.readouterr().out
    assert "42 records read = 41 listed + 1 dead letter" in out
    assert out.endswith(
        "records that count for the time their file arrived: 1 without a usable time, 1 too late for their window\n"
    )
    entries = [
        entry
        for url in report["manifests"]
        for entry in json.loads(open_store("memory://streamed").get(url.removeprefix("memory://streamed/")))["entries"]
    ]
    assert sum(entry["meta"]["record_count"] for entry in entries) == 41


def test_records_in_several_windows_count_in_each(
    tmp_path: pathlib.Path, log: JobLog, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--destination=memory://slid", "--window=sliding:30:10"]
    assert run_on_files(log, landed(tmp_path, 10), *given) == 0
    out = capsys.readouterr().out
    assert "30 records read = 30 listed + 0 dead letters" in out
    assert "count for the time" not in out


def test_a_run_of_nothing_is_summed_up(tmp_path: pathlib.Path, log: JobLog, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_on_files(log, landed(tmp_path, 0), "--destination=memory://nothing") == 0
    assert "0 records read = 0 listed + 0 dead letters" in capsys.readouterr().out
