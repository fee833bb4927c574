"""The result of a load into Redshift, in words."""

from __future__ import annotations

from beam_s3box.redshift import LoadResult


def describe_load(result: LoadResult) -> str:
    """Return the result of a load as one line."""
    skipped = _manifests(len(result.skipped))
    if result.outcome == "nothing-to-load":
        return f"nothing to load into {result.table}: the manifests list no shards"
    if result.outcome == "already-loaded":
        return f"nothing new for {result.table}: {skipped} loaded before"
    before = f"; {skipped} loaded before" if result.skipped else ""
    rejected = f", {result.rejected:,} rows rejected" if result.rejected else ""
    rows = "1 row" if result.records == 1 else f"{result.records:,} rows"
    return f"{rows} of {_manifests(len(result.loaded))} loaded into {result.table}{rejected}{before}"


def _manifests(count: int) -> str:
    return f"{count:,} manifest" if count == 1 else f"{count:,} manifests"
