"""The spec of a write, checked when it is created, and the plans of its runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from beam_s3box import AvroFormat, ConfigurationError, Manifests, Stream, StreamLimits
from beam_s3box.engine.plan import RunPlan, WriteSpec
from beam_s3box.formats import JSON_ARRAY, JSON_LINES
from beam_s3box.records.selector import StreamSelector
from beam_s3box.shards.runs import new_run_id
from beam_s3box.stores import MemoryStore

STORE = MemoryStore("plans")
SPEC = WriteSpec(selector=StreamSelector("d", "n"), format=JSON_LINES)
DATE = {"type": "record", "name": "R", "fields": [{"name": "d", "type": {"type": "int", "logicalType": "date"}}]}


def test_every_plan_is_a_run_of_its_own() -> None:
    first, second = SPEC.plan(STORE), SPEC.plan(STORE, bounded=False)
    assert first.layout.run_id != second.layout.run_id
    assert first.claim.attempt != second.claim.attempt
    assert (first.claim.bounded, second.claim.bounded) == (True, False)


@pytest.mark.parametrize(
    ("run_id", "is_named"), [(None, False), (new_run_id(), False), ("nightly", True)], ids=["none", "made", "given"]
)
def test_only_an_id_that_a_user_gave_may_be_that_of_another_execution(run_id: str | None, is_named: bool) -> None:
    """Also one that was made here before the plan, as jobs do."""
    plan = dataclasses.replace(SPEC, run_id=run_id).plan(STORE)
    assert plan.claim.named is is_named
    assert run_id in (None, plan.layout.run_id)
    assert type(plan.layout.run_id) is str


def test_manifests_decide_on_types_and_rules() -> None:
    avro = dataclasses.replace(SPEC, format=AvroFormat(DATE))
    for_copy, kept = avro.plan(STORE), dataclasses.replace(avro, manifests=None).plan(STORE)
    assert for_copy.manifests == Manifests()
    assert for_copy.format.fingerprint != kept.format.fingerprint
    assert (for_copy.rules.max_bytes, kept.rules.max_bytes) == (4_000_000, None)
    assert dataclasses.replace(SPEC, format=JSON_ARRAY).plan(STORE).manifests is None


def test_what_is_given_is_planned() -> None:
    limits = StreamLimits(max_records=7)
    spec = WriteSpec(
        selector=SPEC.selector,
        format=JSON_LINES,
        limits={"d/*": limits},
        on_bad_record="fail",
        upload_concurrency=3,
        key_template="shards/{domain}/{namespace}/{window}{run_id}-{origin}-{sequence}-{digest}{extension}",
    )
    plan: RunPlan = spec.plan(STORE)
    assert plan.limits_of(Stream("d", "n")) == limits
    assert (plan.fail_on_bad_record, plan.upload_concurrency) == (True, 3)
    assert plan.layout.data_key.startswith("shards/")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_bad_record": "skip"}, "on_bad_record='skip' must be 'dead_letter' or 'fail'"),
        ({"upload_concurrency": 257}, "upload_concurrency=257 must be a whole number from 1 to 256"),
        ({"run_id": ""}, "run_id='' must be 1 to 48"),
        ({"key_template": "x"}, "key_template='x' lacks {"),
        ({"limits": 1}, "limits=1 must be"),
        ({"manifests": 3}, "manifests=3 must be a Manifests, None or 'auto'"),
        ({"manifests": Manifests(), "format": JSON_ARRAY}, "are mutually exclusive: COPY can't load rows from it"),
        ({"max_record_bytes": 0}, "max_record_bytes=0"),
        ({"long_values": "cut"}, "long_values='cut'"),
    ],
)
def test_a_spec_that_can_not_work_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        dataclasses.replace(SPEC, **arguments)
