"""How many processes a backfill uses: on its own, and as it is asked."""

from __future__ import annotations

import pathlib

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.engine.run_totals import RunInput
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.workers.choice import LEAST_BYTES, WORKER_BYTES, Machine, workers_of
from beam_s3box.stores import MemoryStore, open_store

BIG = RunInput(files=3, bytes=LEAST_BYTES)
LARGE = Machine(8, 16 * WORKER_BYTES)


def number(*arguments: str, found: RunInput = BIG, kinds: tuple[str, ...] = ("jsonl",), at: Machine = LARGE) -> int:
    return workers_of(options(*arguments), open_store("file:///tmp/x"), found, kinds, at)


def options(*arguments: str) -> PipelineOptions:
    return PARSER.parse(["--domain=d", "--namespace=n", *arguments])


def test_from_four_cores_and_a_gigabyte_on_each_core_has_a_process() -> None:
    assert number() == 8
    assert number(kinds=("jsonl", "json")) == 8
    assert number(at=Machine(4, 16 * WORKER_BYTES)) == 4


def test_no_more_than_memory_is_there_for() -> None:
    assert number(at=Machine(8, 3 * WORKER_BYTES)) == 3
    assert number(at=Machine(8, 1)) == 1


@pytest.mark.parametrize(
    ("found", "kinds", "at"),
    [
        (BIG, ("jsonl",), Machine(3, 16 * WORKER_BYTES)),
        (RunInput(files=1, bytes=LEAST_BYTES - 1), ("jsonl",), LARGE),
        (RunInput(), (), LARGE),
        (BIG, ("jsonl", "csv"), LARGE),
        (BIG, ("parquet",), LARGE),
    ],
)
def test_else_the_runner_does_it(found: RunInput, kinds: tuple[str, ...], at: Machine) -> None:
    assert number(found=found, kinds=kinds, at=at) == 1


def test_a_number_is_a_number() -> None:
    assert number("--workers=3", found=RunInput(), kinds=("csv",), at=Machine(1, 1)) == 3
    assert number("--workers=1") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--runner=PrismRunner",), "the runner brings workers of its own"),
        (("--runner=FlinkRunner",), "the runner brings workers of its own"),
        (("--direct_num_workers=2",), "--direct_running_mode and --direct_num_workers number workers, too"),
        (("--direct_running_mode=multi_processing",), "leave those out"),
    ],
)
def test_where_processes_can_not_be(arguments: tuple[str, ...], why: str) -> None:
    assert number(*arguments) == 1
    assert number("--workers=1", *arguments) == 1
    with pytest.raises(ConfigurationError, match=f"--workers=2 can't be: .*{why}"):
        number("--workers=2", *arguments)


def test_memory_is_of_one_process() -> None:
    store = MemoryStore("here")
    assert workers_of(options(), store, BIG, ("jsonl",), LARGE) == 1
    with pytest.raises(ConfigurationError, match="--workers=2 can't be: memory://here is memory of one process"):
        workers_of(options("--workers=2"), store, BIG, ("jsonl",), LARGE)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", ""])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"workers: .* must be auto, or a whole number of at least 1"):
        options(f"--workers={text}")


def test_this_machine_has_cores_and_memory(tmp_path: pathlib.Path) -> None:
    cores, memory = Machine.here()
    assert cores >= 1
    assert memory > 1 << 20
