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
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from pipelines.event_times import arrival_of
from pipelines.found_notes import FoundNotes
from pipelines.watch_options import Watching
from pipelines.window_spec import MICROS

FoundFile: TypeAlias = tuple[str, int, int]
"""Path of a file, its bytes when it was found, and when it arrived, in microseconds since 1970."""

_Seen: TypeAlias = tuple[str, int, int, bool]
"""The same, and whether it counts for when it was found, because the file system tells no time that could be used."""

_WHOLE_SECOND = 1.0
"""S3 tells in whole seconds when an object was last changed, so up to one second too early."""


class WatchFiles(beam.PTransform):
    """Finds the files that match patterns, again and again.

    *Guarantees*: a file is found once in the life of the job, by its path, whichever patterns match it, also after a
    runner restored the job from a checkpoint. The runner's state grows by some 30 bytes for each file.

    *Windows*: the global window. A file is stamped with when it arrived, less the delay. The watermark is the time of
    the last look, less the delay, the age and the second by which a file may have arrived before that and was not seen.

    Args:
      patterns: paths and globs, local or `s3://`.
      watching: how to look.
      delay: seconds that the watermark stays behind.
      notes: keep when a file was found that counts for that; None: if a runner goes back, it counts for another time.
      clock: seconds since 1970.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        watching: Watching,
        delay: float,
        notes: FoundNotes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._notes = notes
        self._look = Look(patterns, watching.min_age, delay, clock, begun=clock())
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
            | "FoundFiles" >> beam.ParDo(_Found(self._notes)).with_output_types(FoundFile)
        )


class Look(PollFn):
    """One look for files."""

    def __init__(
        self, patterns: Sequence[str], min_age: float, delay: float, clock: Callable[[], float], begun: float
    ) -> None:
        self._patterns = list(dict.fromkeys(patterns))
        self._min_age = min_age
        self._delay = int(delay * MICROS)
        self._unseen = int((min_age + _WHOLE_SECOND) * MICROS)
        self._clock = clock
        self._begun = int(begun * MICROS)

    def __call__(self, element: bytes) -> PollResult[_Seen]:
        """Return all files that are there, and old enough."""
        # before the listing: what appears during it is found now or next time, and is late in neither
        now = self._clock()
        found = int(now * MICROS)
        files = {file.path: file for result in FileSystems.match(self._patterns) for file in result.metadata_list}
        outputs = [self._stamped(file, found) for _, file in sorted(files.items()) if self._is_whole(file, now)]
        return PollResult.incomplete(outputs).with_watermark(Timestamp(micros=found - self._delay - self._unseen))

    def _stamped(self, file: FileMetadata, found: int) -> TimestampedValue[_Seen]:
        told = arrival_of(file.last_updated_in_seconds, found, self._begun)
        arrived = found if told is None else told
        # a file by a clock that is ahead must not be ahead of the watermark: its records need not be
        stamp = Timestamp(micros=min(arrived, found) - self._delay)
        return TimestampedValue((file.path, file.size_in_bytes, arrived, told is None), stamp)

    def _is_whole(self, file: FileMetadata, now: float) -> bool:
        """Return whether a file is no longer written: objects appear whole, local files may grow."""
        if FileSystems.get_scheme(file.path) is not None:
            return True
        return bool(now - file.last_updated_in_seconds >= self._min_age)


def path_of(file: _Seen) -> str:
    """Return what makes a file another one than those found before."""
    return file[0]


class _Found(beam.DoFn):
    def __init__(self, notes: FoundNotes | None) -> None:
        self._notes = notes

    def process(self, element: tuple[bytes, _Seen]) -> Iterator[FoundFile]:
        path, size, arrived, is_found = element[1]
        if is_found and self._notes is not None:
            arrived = self._notes.first(path, arrived)
        yield path, size, arrived
