"""Scripted streams: records, watermark and clock step by step, on Beam's TestStream.

The only runner for it does not hold back the watermark for timers. So what a timer seals at the end of its window
reaches the manifests after that end: a lateness is allowed here, and a script steps past each window within it.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import apache_beam as beam
import orjson
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import FixedWindows, GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_s3box import Tuning, WriteToS3Box
from beam_s3box.engine.manifests import Manifest
from beam_s3box.metrics import PROGRESS
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from tests.readback import ReadBack, read_back, strict_gunzip

LATENESS = 600
END_OF_TIME = Timestamp(micros=(GlobalWindow().max_timestamp().micros // 1000 + 1) * 1000)
"""The end of the global window, in the whole milliseconds that a script can say."""


class Clock:
    """Seconds that only the script advances, as TestStream does its own; a class, because DoFns are pickled."""

    now = 0.0


def clock() -> float:
    return Clock.now


class Script:
    """What arrives when. Every call of `add` is a bundle, whose work is done before the next step."""

    def __init__(self) -> None:
        self._stream = TestStream()
        self._now = 0.0

    def add(self, *numbers: int, at: float, stream: str = "a", pad: int = 0) -> Script:
        """Let records arrive in one bundle, with this second as event time."""
        records = [{"d": stream, "n": "x", "i": number, "pad": "z" * pad} for number in numbers]
        self._stream.add_elements([TimestampedValue((self._now, record), at) for record in records])
        return self

    def watermark(self, seconds: float) -> Script:
        """Advance the watermark to this second."""
        self._stream.advance_watermark_to(seconds)
        return self

    def wait(self, seconds: float) -> Script:
        """Advance processing time."""
        self._now += seconds
        self._stream.advance_processing_time(seconds)
        return self

    def end(self) -> TestStream:
        """End the stream, and with it all windows."""
        return self._stream.advance_watermark_to_infinity()


class Emitted(NamedTuple):
    """An element of an output: its window and timestamp, and the script's clock when it was emitted."""

    value: Any
    window: Any
    timestamp: float
    clock: float


class Written(NamedTuple):
    """The outcome of a scripted stream.

    Attributes:
      store: the destination.
      shards, manifests, dead_letters: as the transform emitted them, in order.
      counts: the counters of this run.
      found: what is in the store.
    """

    store: Store
    shards: list[Emitted]
    manifests: list[Emitted]
    dead_letters: list[Emitted]
    counts: collections.Counter[str]
    found: ReadBack

    def sealed(self, stream: str = "a") -> list[tuple[str, list[int]]]:
        """Return why each shard of a stream was sealed and what it holds, in the order of their output."""
        return [(shard.value.sealed_by, self.ids(shard.value)) for shard in self.shards if shard.value.domain == stream]

    def ids(self, file: ShardFile) -> list[int]:
        return [orjson.loads(line)["i"] for line in strict_gunzip(self.store.get(file.key)).splitlines()]

    def listed(self) -> dict[str, list[int]]:
        """Return the ids that each manifest lists; manifests by stream, window, pane and number."""
        root = self.store.root + "/"
        texts = {
            key: [strict_gunzip(self.store.get(url.removeprefix(root))) for url in urls]
            for key, urls in self.found.manifests.items()
        }
        return {
            self.name(item.value): sorted(
                orjson.loads(line)["i"] for text in texts.pop(item.value.key) for line in text.splitlines()
            )
            for item in self.manifests
        }

    @staticmethod
    def name(manifest: Manifest) -> str:
        """Return stream, window, pane of a manifest, and its number in the firing."""
        number = manifest.key.rpartition("-")[2]
        names = () if manifest.domain is None else (manifest.domain, manifest.namespace)
        return "/".join(filter(None, (*names, manifest.window, f"{manifest.pane}-{number}")))

    def panes(self) -> list[tuple[int, list[int]]]:
        """Return pane and ids of each manifest, in the order of their output."""
        listed = self.listed()
        return [(item.value.pane, listed[self.name(item.value)]) for item in self.manifests]

    def all_ids(self) -> list[int]:
        """Return every listed id, as often as it is listed."""
        return sorted(record["i"] for record in self.found.all_records())


class _Collected:
    """What the outputs of each run emitted; a class, because DoFns are pickled."""

    runs: ClassVar[collections.defaultdict[tuple[str, str], list[Emitted]]] = collections.defaultdict(list)


class Run:
    """A pipeline that writes a scripted stream; it may run more than once, as if it restarted from its beginning."""

    def __init__(self, script: Script, store: Store, **arguments: Any) -> None:
        self._store = store
        self._token = new_token(12)
        self._pipeline = beam.Pipeline(options=options())
        transform = WriteToS3Box(store, **{**DEFAULTS, **arguments})
        records = self._pipeline | "Script" >> script.end() | "KeepTime" >> beam.ParDo(_KeepTime())
        for name, output in (records | "Write" >> transform)._asdict().items():
            output | f"Collect {name}" >> beam.ParDo(_Collect(self._token, name))

    def run(self) -> Written:
        """Run the pipeline to its end."""
        Clock.now, before = 0.0, PROGRESS.totals()
        self._pipeline.run().wait_until_finish()
        shards, manifests, letters = (
            _Collected.runs.pop((self._token, name), []) for name in ("shards", "manifests", "dead_letters")
        )
        counts = collections.Counter(PROGRESS.totals())
        counts.subtract(before)
        return Written(self._store, shards, manifests, letters, counts, read_back(self._store))


DEFAULTS: dict[str, Any] = {
    "domain_field": "d",
    "namespace_field": "n",
    "windowing": FixedWindows(60),
    "allowed_lateness": LATENESS,
    "tuning": Tuning(clock=clock),
}


def write(script: Script, store: Store, **arguments: Any) -> Written:
    """Run the script's stream through the transform once."""
    return Run(script, store, **arguments).run()


def options() -> PipelineOptions:
    return PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])


class _KeepTime(beam.DoFn):
    """Sets the clock to the moment at which the script added the record."""

    def process(self, element: tuple[float, dict[str, Any]]) -> Iterator[dict[str, Any]]:
        Clock.now, record = element
        yield record


class _Collect(beam.DoFn):
    def __init__(self, token: str, name: str) -> None:
        self._place = token, name

    def process(
        self, element: Any, window: Any = beam.DoFn.WindowParam, timestamp: Any = beam.DoFn.TimestampParam
    ) -> None:
        _Collected.runs[self._place].append(Emitted(element, window, float(timestamp), Clock.now))
