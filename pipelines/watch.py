"""WatchFiles: files are found when they appear, each once.

Beam's `fileio.MatchContinuously` does the same for one pattern, with the same `Watch` below it. It is not used because
its watermark is the time of the poll, so that every record with an event time of its own would be late; and because it
finds a file that two patterns match twice, and a local file while it is being written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import apache_beam as beam
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.watch import PollFn, PollResult, Watch, after_total_of, never
from apache_beam.utils.timestamp import Timestamp

from pipelines.watch_options import Watching
from pipelines.window_spec import MICROS

FoundFile: TypeAlias = tuple[str, int, int]
"""Path of a file, its bytes when it was found, and when that was: microseconds since 1970, by the watermark's clock."""


class WatchFiles(beam.PTransform):
    """Finds the files that match patterns, again and again.

    *Guarantees*: a file is found once in the life of the job, by its path, whichever patterns match it, also after a
    runner restored the job from a checkpoint. The runner's state grows by some 30 bytes for each file.

    *Windows*: the global window. The watermark is the time of the last look, less the delay; a file is stamped so too.

    Args:
      patterns: paths and globs, local or `s3://`.
      watching: how to look.
      delay: seconds that the watermark stays behind.
      clock: seconds since 1970.
    """

    def __init__(
        self, patterns: Sequence[str], watching: Watching, delay: float, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self._look = Look(patterns, watching.min_age, delay, clock)
        self._watching = watching
        self._clock = clock

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[FoundFile]:
        """Return the files."""
        seconds = self._watching.stop_after
        watch = Watch(
            self._look,
            self._watching.poll_interval,
            never() if seconds is None else after_total_of(seconds),
            output_key_fn=path_of,
            now_fn=self._clock,
        )
        return (
            begin
            | "Begin" >> beam.Impulse()
            | "Watch" >> watch
            | "FoundFiles" >> beam.ParDo(_WithoutBegin()).with_output_types(FoundFile)
        )


class Look(PollFn):
    """One look for files."""

    def __init__(self, patterns: Sequence[str], min_age: float, delay: float, clock: Callable[[], float]) -> None:
        self._patterns = list(dict.fromkeys(patterns))
        self._min_age = min_age
        self._delay = int(delay * MICROS)
        self._clock = clock

    def __call__(self, element: bytes) -> PollResult[FoundFile]:
        """Return all files that are there, and old enough."""
        # before the listing: what appears during it is found now or next time, and is late in neither
        now = self._clock()
        found = int(now * MICROS)
        stamp = Timestamp(micros=found - self._delay)
        files = {file.path: file for result in FileSystems.match(self._patterns) for file in result.metadata_list}
        rows = [(path, file.size_in_bytes, found) for path, file in sorted(files.items()) if self._is_whole(file, now)]
        return PollResult.incomplete(rows, timestamp=stamp).with_watermark(stamp)

    def _is_whole(self, file: FileMetadata, now: float) -> bool:
        """Return whether a file is no longer written: objects appear whole, local files may grow."""
        if FileSystems.get_scheme(file.path) is not None:
            return True
        return bool(now - file.last_updated_in_seconds >= self._min_age)


def path_of(file: FoundFile) -> str:
    """Return what makes a file another one than those found before."""
    return file[0]


class _WithoutBegin(beam.DoFn):
    def process(self, element: tuple[bytes, FoundFile]) -> Iterator[FoundFile]:
        yield element[1]
