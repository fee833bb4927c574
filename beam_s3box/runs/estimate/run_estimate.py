"""What a whole run will write: the sum over its streams, requests and prices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final

from beam_s3box.engine.plan import RunPlan
from beam_s3box.runs.estimate.arrival import Arrival
from beam_s3box.runs.estimate.prices import GB, Prices
from beam_s3box.runs.estimate.sizing import StreamEstimate, estimated_stream, exact_stream
from beam_s3box.runs.estimate.trial import TrialResult
from beam_s3box.stores.s3_settings import S3Settings

MONTH_SECONDS: Final = 30 * 86_400.0
"""Of prices for a month."""

_REQUESTS_OF_A_RUN: Final = 3
"""PUTs of its own: the check of the destination, and its record when it begins and when it ends."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """What a run will write and cost; of unbounded input, in the time in which the input arrives.

    Attributes:
      exact: whether the sample was the whole input, and nothing is extrapolated.
      streams: of which the sample has records, the largest first.
      unseen_streams: streams that the sample has nothing of, by the number of those that are rare in it.
      records: in shards.
      dead_letters: by reason.
      examples: what is wrong with one of each reason.
      raw_bytes, object_bytes: of the shards, before and after compression.
      shards, small: number of shards, and of those that Redshift's documentation calls too small.
      manifests: number of manifests; each is loaded by one COPY.
      put_requests: PUTs, each part of a large object being one.
      run_dollars: of these, and of the reads of one load.
      month_dollars: storage of a month and, of unbounded input, the requests of a month.
      listed_within: seconds until a manifest lists a record, on average and at most, without the upload; None for
        bounded input, which is listed when the run finishes.
    """

    exact: bool
    streams: Sequence[StreamEstimate]
    unseen_streams: float
    records: float
    dead_letters: Mapping[str, float]
    examples: Mapping[str, str]
    raw_bytes: float
    object_bytes: float
    shards: float
    small: float
    manifests: float
    put_requests: float
    run_dollars: float
    month_dollars: float
    listed_within: tuple[float, float] | None


def estimate_run(
    trial: TrialResult, plan: RunPlan, *, exact: bool, arrival: Arrival | None = None, prices: Prices | None = None
) -> RunEstimate:
    """Return what a run will write.

    Args:
      trial: the figures of the sample.
      plan: of the run.
      exact: whether the sample was the whole input.
      arrival: how unbounded input arrives; None for bounded input.
      prices: of S3.
    """
    prices = prices or Prices()
    count = plan.manifests.count if plan.manifests else 0
    per_stream = count if plan.manifests and plan.manifests.per == "stream" else 0
    streams = [
        exact_stream(stream, found, per_stream)
        if exact and arrival is None
        else estimated_stream(stream, found, plan, trial.compression, arrival, per_stream)
        for stream, found in trial.streams.items()
    ]
    streams.sort(key=lambda row: (-row.object_bytes, row.stream))
    unseen = 0.0 if exact else _unseen(trial)
    records = sum(row.records for row in streams)
    # a stream of which nothing was seen has few records: a shard and a manifest
    shards = sum(row.shards for row in streams) + unseen
    filled = arrival.filled(records / arrival.copies) if arrival else 1.0
    manifests = sum(row.manifests for row in streams) + (unseen if per_stream else 0)
    if count and not per_stream:
        manifests = min((arrival.firings(filled, shards) if arrival else 1.0) * count, shards)
    object_bytes = sum(row.object_bytes for row in streams)
    puts = sum(row.shards * _requests(row.largest_bytes) for row in streams) + unseen + manifests
    puts += _REQUESTS_OF_A_RUN + (filled if arrival else math.ceil(shards / 50_000))
    run_dollars = puts * prices.put / 1_000 + shards * prices.get / 1_000
    runs_a_month = MONTH_SECONDS / arrival.seconds if arrival else 1.0
    stored_a_month = object_bytes * runs_a_month / GB * prices.storage
    return RunEstimate(
        exact=exact and arrival is None,
        streams=streams,
        unseen_streams=unseen,
        records=records,
        dead_letters=dict(sorted(trial.reasons.items(), key=lambda item: (-item[1], item[0]))),
        examples=trial.examples,
        raw_bytes=sum(row.raw_bytes for row in streams),
        object_bytes=object_bytes,
        shards=shards,
        small=sum(row.small for row in streams) + unseen,
        manifests=manifests,
        put_requests=puts,
        run_dollars=run_dollars,
        month_dollars=stored_a_month + (run_dollars * runs_a_month if arrival else 0.0),
        listed_within=arrival.listed_within if arrival else None,
    )


def _requests(object_bytes: float) -> float:
    """Return the PUTs of an object."""
    settings = S3Settings()
    if object_bytes <= settings.multipart_bytes:
        return 1.0
    return math.ceil(object_bytes / settings.part_bytes) + 2.0


def _unseen(trial: TrialResult) -> float:
    """Return how many streams were not seen, by how many were in one piece, and in two: Chao's estimate of species."""
    once = sum(found.pieces == 1 for found in trial.streams.values())
    twice = sum(found.pieces == 2 for found in trial.streams.values())
    if trial.pieces < 2:
        return 0.0
    return (trial.pieces - 1) / trial.pieces * once * (once - 1) / (2 * (twice + 1))
