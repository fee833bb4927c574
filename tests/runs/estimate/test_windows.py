"""The estimate of windows, against a pipeline that writes them."""

from __future__ import annotations

import random

import pytest

from beam_s3box import StreamLimits
from beam_s3box.engine.plan import WriteSpec
from beam_s3box.formats import JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.selector import StreamSelector
from beam_s3box.runs.estimate.arrival import Arrival
from beam_s3box.runs.estimate.run_estimate import RunEstimate, estimate_run
from beam_s3box.runs.estimate.trial import Trial
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.transforms.streams import Script, write

SECONDS = 600
WINDOW = 60
STREAMS = {"busy": 60, "calm": 20, "rare": 4}
"""Records of each in all the time."""


def estimated(max_seconds: float | None) -> RunEstimate:
    limits = StreamLimits(max_seconds=max_seconds)
    spec = WriteSpec(selector=StreamSelector(domain_field="d", namespace="x"), format=JSON_LINES, limits=limits)
    plan = spec.plan(MemoryStore("none"))
    trial = Trial(plan, MemoryMetrics())
    for stream, count in STREAMS.items():
        lines = [b'{"d":"%b","i":%d}' % (stream.encode(), number) for number in range(count)]
        trial.add(LineBatch(lines, "a", range(1, count + 1)))
    trial.end_piece(1.0)
    arrival = Arrival(seconds=SECONDS, window=WINDOW, slide=WINDOW, max_seconds=max_seconds)
    return estimate_run(trial.finish(), plan, exact=True, arrival=arrival)


@pytest.mark.parametrize("max_seconds", [None, 20.0])
def test_shards_and_manifests_are_those_of_a_stream(max_seconds: float | None) -> None:
    source = random.Random(3)
    arrivals = sorted(
        (source.randrange(SECONDS * 8) / 8, stream) for stream, count in STREAMS.items() for _ in range(count)
    )
    script, now, ended = Script(), 0.0, 0
    for number, (second, stream) in enumerate(arrivals):
        if second > now:
            script.wait(second - now)
        now = second
        if int(second) // WINDOW > ended:
            ended = int(second) // WINDOW
            script.watermark(ended * WINDOW)
        script.add(number, at=second, stream=stream)
    written = write(script, MemoryStore(new_token(12)), limits=StreamLimits(max_seconds=max_seconds))
    found = estimated(max_seconds)
    by_stream = {row.stream.domain: row for row in found.streams}
    for stream in STREAMS:
        shards = [shard for shard in written.shards if shard.value.domain == stream]
        manifests = {shard.window for shard in shards}
        # how many windows a rare stream meets is a matter of chance
        tolerance = pytest.approx(len(shards), rel=0.1, abs=2)
        assert by_stream[stream].shards == tolerance, stream
        assert by_stream[stream].manifests == pytest.approx(len(manifests), rel=0.12, abs=1.5), stream
