"""The plan of a write, for tests of single steps."""

from __future__ import annotations

import dataclasses
from typing import Any

from apache_beam.transforms.window import FixedWindows

from beam_s3box.engine.claims import RunClaim
from beam_s3box.formats import JSON_LINES
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.selector import StreamSelector
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.limits import LimitsForAll, StreamLimits
from beam_s3box.stores import Store
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.windows import Windows


def write_plan(store: Store, **changes: Any) -> WritePlan:
    """Return a plan for JSON lines of the stream d/n, in windows of a minute, with these changes."""
    layout = Layout("run")
    plan = WritePlan(
        store=store,
        layout=layout,
        format=JSON_LINES,
        selector=StreamSelector("d", "n", None, None, None),
        rules=record_rules(for_redshift=True, max_record_bytes=None),
        limits_of=LimitsForAll(StreamLimits()),
        claim=RunClaim(layout, "attempt", bounded=not changes.get("unbounded", False)),
        windows=Windows(FixedWindows(60)),
    )
    return dataclasses.replace(plan, **changes)
