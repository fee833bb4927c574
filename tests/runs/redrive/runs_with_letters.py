"""Runs that have dead letters, for the tests of redrives, and what all runs of a store together hold."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from beam_s3box.engine.line_packer import LinePacker
from beam_s3box.engine.plan import RunPlan, WriteSpec
from beam_s3box.engine.run_reader import Run, find_run, list_runs
from beam_s3box.engine.run_settings import origin_of
from beam_s3box.formats import JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.selector import StreamSelector
from beam_s3box.runs.redrive.redrive import Redrive
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.stores import Store
from tests.readback import strict_gunzip

PARENT = "parent"
GOOD = [json.dumps({"kind": f"k{i % 2}", "i": i}).encode() for i in range(10)]
NO_KIND = [json.dumps({"kynd": "k0", "i": 100 + i}).encode() for i in range(7)]
NO_JSON = [b"bad %d" % i for i in range(5)]
NO_OBJECT = [b"[%d]" % i for i in range(3)]
BAD = [*NO_KIND, *NO_JSON, *NO_OBJECT]


def spec_for(**changes: Any) -> WriteSpec:
    settings: dict[str, Any] = {
        "selector": StreamSelector(domain="d", namespace_field="kind"),
        "format": JSON_LINES,
        "limits": StreamLimits(max_records=4),
        "max_dead_letters": "100%",
    }
    return WriteSpec(**{**settings, **changes})


def pack(store: Store, lines: Sequence[bytes], source: str = "in.jsonl", run_id: str = PARENT) -> Run:
    """Write a run of these lines, as of a file."""
    spec = spec_for(run_id=run_id)
    plan = spec.plan(store, origin=origin_of("pack", spec))
    with LinePacker(plan, MemoryMetrics()) as packer:
        packer.pack(LineBatch(list(lines), source, range(1, len(lines) + 1)) if source else list(lines))
        packer.finish()
    return find_run(store, run_id)


def redrive(run: Run, store: Store | None = None, spec: WriteSpec | None = None, **settings: Any) -> Redrive:
    """Return the redrive of a run, with the settings of `pack`."""
    run = run if store is None else Run(store, run.record, run.info)
    return Redrive(run=run, plan_of=plans(run, spec or spec_for(), run.run_id), **settings)


def plans(run: Run, spec: WriteSpec, parent: str) -> Callable[[str], RunPlan]:
    import dataclasses

    def plan_of(run_id: str) -> RunPlan:
        named = dataclasses.replace(spec, run_id=run_id)
        return named.plan(run.store, origin=origin_of("redrive", named, parent=parent))

    return plan_of


def mend(letter: Any) -> Any:
    """Give a record its kind."""
    record = orjson.loads(letter.raw)
    record["kind"] = record.pop("kynd")
    return record


def listed(store: Store, run: Run) -> list[dict[str, Any]]:
    """Return the records that a finished run lists."""
    assert run.record.state == "finished"
    return [json.loads(line) for one in run.shards() for line in strict_gunzip(store.get(one.shard.key)).splitlines()]


def raws(run: Run) -> collections.Counter[bytes]:
    """Return the dead letters that stand in the files of a run."""
    lines = (line for info in run.dead_letter_files() for line in strict_gunzip(run.store.get(info.key)).splitlines())
    return collections.Counter(json.loads(line)["raw"].encode() for line in lines)


def children(store: Store, parent: str = PARENT) -> list[Run]:
    """Return the finished runs that redrive another one."""
    return [run for run in list_runs(store) if run.record.parent == parent and run.record.state == "finished"]


def check_each_once(store: Store, bad: Sequence[bytes] = BAD, mended: Sequence[bytes] = NO_KIND) -> None:
    """Check that each dead letter is listed by one finished redrive, or among its own dead letters, and nowhere else."""
    found = children(store)
    numbers = sorted(record["i"] for run in found for record in listed(store, run))
    assert numbers == sorted(json.loads(line)["i"] for line in mended)
    inputs = [run.record.input for run in found if run.record.input is not None]
    assert len(inputs) == len(found)
    assert sum(one.records for one in inputs) == len(bad)
    assert sum(one.rejected for one in inputs) == len(bad) - len(mended)
