"""The result of a load into Redshift, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from beam_s3box.redshift import LoadResult
from beam_s3box.redshift.load.table_loads import LoadFailure
from beam_s3box.sizes import counted_text


def describe_load(result: LoadResult) -> str:
    """Return the result of a load as one line."""
    skipped = counted_text(len(result.skipped), "manifest")
    if result.outcome == "nothing-to-load":
        return f"nothing to load into {result.table}: the manifests list no shards"
    if result.outcome == "already-loaded":
        return f"nothing new for {result.table}: {skipped} loaded before"
    before = f"; {skipped} loaded before" if result.skipped else ""
    rejected = f", {result.rejected:,} rows rejected" if result.rejected else ""
    rows = counted_text(result.records, "row")
    return f"{rows} of {counted_text(len(result.loaded), 'manifest')} loaded into {result.table}{rejected}{before}"


def render_loads(results: Sequence[LoadResult | LoadFailure]) -> str:
    """Return the results of loads as JSON; only ASCII, which every output takes."""
    return json.dumps({"loads": [_as_json(result) for result in results]}, indent=2)


def _as_json(result: LoadResult | LoadFailure) -> dict[str, object]:
    if isinstance(result, LoadFailure):
        return {"outcome": "failed", **result._asdict()}
    values = result._asdict() if hasattr(result, "_asdict") else vars(result)
    return {name: str(value) if name == "table" else value for name, value in values.items()}
