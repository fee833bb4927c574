"""WatchFiles: files are found when they appear, each once.

Beam's `fileio.MatchContinuously` and the `Watch` below it do the same, but not well enough for this: they remember
every file for ever, in seconds and gigabytes a look for a million of them; their watermark may pass the time of a file
that is found after the clock was set back, so that no manifest would list its records; and they find a file that two
patterns match twice, and a local file while it is being written.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.stream import Watching
from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.event_times import arrival_of
from beam_s3box.jobs.read.file_memory import FileMemory
from beam_s3box.jobs.read.find import FoundInput, find_input
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.input_files import NO_OPTIONS, S3Access
from beam_s3box.jobs.read.watch_restriction import Round, RoundTracker, SeenFile, WatchCoder, WatchState
from beam_s3box.metrics import FILES_FOUND
from beam_s3box.sources.stop import Notices
from beam_s3box.transforms.runtime import BeamCounts

_LOGGER = logging.getLogger(__name__)

FoundFile: TypeAlias = tuple[str, int, int, str]
"""Path of a file, its bytes when it was found, -1 for not known; when it arrived, in microseconds since 1970; and its
version, as `find_version` names it, empty for the one that exists when it is read."""

_Restriction: TypeAlias = WatchState | Round

_WHOLE_SECOND = 1.0
"""S3 has the time of the last change in whole seconds, so up to one second too early."""


class WatchFiles(beam.PTransform):
    """Finds the files that match patterns, again and again.

    *Guarantees*: a file is found once in the life of the job, by its path, whichever patterns match it, also after a
    runner restored the job from a checkpoint, and as long as it exists. A path whose file has been gone for
    `forget_after` seconds is forgotten: what has it then is another file. The runner's state is 16 bytes for each file
    that exists, and 24 for each that has gone since.

    *Windows*: the global window. A file is stamped with when it arrived, less the delay. The watermark is the time of
    the last look, less the delay, the age and the second by which a file may have arrived before that and was not seen.
    The time of a look stands still where the clock is set back, or another worker's is behind, until it has caught up:
    so no file is late because of a clock.

    Args:
      patterns: paths and globs, local or `s3://`.
      watching: how to look.
      delay: seconds that the watermark stays behind.
      notes: keep when a file was found that counts for that; None: if a runner goes back, it counts for another time.
      clock: seconds since 1970.
      access: to objects.
      notices: of the run; None where nobody can stop it but the runner.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        watching: Watching,
        delay: float,
        notes: FoundNotes | None = None,
        clock: Callable[[], float] = time.time,
        access: S3Access = NO_OPTIONS,
        notices: Notices | None = None,
    ) -> None:
        super().__init__()
        self._watch = _Watch(Look(patterns, watching, clock, clock(), access), watching, delay, notices)
        self._notes = notes

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[FoundFile]:
        """Return the files."""
        return (
            begin
            | "Begin" >> beam.Impulse()
            | "Watch" >> beam.ParDo(self._watch).with_output_types(SeenFile)
            | "FoundFiles" >> beam.ParDo(NoteArrivals(self._notes)).with_output_types(FoundFile)
        )


def _warn(refused: ConfigurationError) -> None:
    _warn_once(str(refused))


@functools.lru_cache(10_000)
def _warn_once(refused: str) -> None:
    """Log that a path is left out, once and not at every look."""
    _LOGGER.warning("%s; it is left out until that is changed, and the others are read", refused)


class Look:
    """One look for files."""

    def __init__(
        self,
        patterns: Sequence[str],
        watching: Watching,
        clock: Callable[[], float],
        begun: float,
        access: S3Access = NO_OPTIONS,
    ) -> None:
        self._patterns = list(patterns)
        self._access = access
        self._min_age = watching.min_age
        self._forget_after = watching.forget_after
        self._begun = int(begun * MICROS)
        self.clock = clock

    def __call__(self, memory: FileMemory) -> tuple[tuple[SeenFile, ...], FileMemory]:
        """Return the files that are new, and what is known after this look."""
        # before the listing: what appears during it is found now or next time, and is late in neither
        now = self.clock()
        listed = find_input(
            self._patterns, self._access, must_match=False, refused=lambda error: _warn_once(str(error))
        )
        files = {file.path: file for file in listed if self._is_whole(file, now)}
        new, memory = memory.after(files, now, self._forget_after)
        return tuple(self._seen(files[path], memory.at) for path in new), memory

    def _seen(self, file: FoundInput, found: int) -> SeenFile:
        arrived = arrival_of(file.changed, found, self._begun)
        return file.path, file.size, found if arrived is None else arrived, arrived is None

    def _is_whole(self, file: FoundInput, now: float) -> bool:
        """Return whether a file is no longer written: objects appear whole, local files may grow."""
        if FileSystems.get_scheme(file.path) is not None:
            return True
        return bool(now - file.changed >= self._min_age)


class _Watch(beam.DoFn, RestrictionProvider):
    """Looks, emits what is new, and asks the runner to come back; what it knows goes with the rest of its work.

    It is its own provider of restrictions, as Beam finds one where the parameter names none.
    """

    def __init__(self, look: Look, watching: Watching, delay: float, notices: Notices | None) -> None:
        self._look = look
        self._notices = notices
        self._pause = Duration.of(watching.poll_interval)
        self._stop_after = watching.stop_after
        self._delay = int(delay * MICROS)
        self._unseen = int((watching.min_age + _WHOLE_SECOND) * MICROS)

    def initial_restriction(self, element: bytes) -> _Restriction:
        """Return the state before the first look."""
        begun = int(self._look.clock() * MICROS)
        return WatchState(begun, FileMemory(begun))

    def create_tracker(self, restriction: _Restriction) -> RoundTracker:
        """Return what a runner splits the work with."""
        return RoundTracker(restriction)

    def restriction_coder(self) -> WatchCoder:
        """Return the coder of what is remembered."""
        return WatchCoder()

    def restriction_size(self, element: bytes, restriction: _Restriction) -> int:
        """Return a look's share of the work: all are alike."""
        return 1

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: bytes,
        timestamp: Any = beam.DoFn.TimestampParam,
        tracker: Any = beam.DoFn.RestrictionParam(),  # noqa: B008 - Beam reads it off the default
        estimator: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),  # noqa: B008
    ) -> Iterator[TimestampedValue]:
        """Look once; or emit again what a look found whose work the runner had split off."""
        # without one, a runner holds the watermark at the beginning of time
        advance(estimator, timestamp)
        state = tracker.current_restriction()
        if isinstance(state, Round):
            if tracker.try_claim(state):
                yield from self._stamped(state.files, state.at)
            return
        # before the claim, under whose lock the runner could not ask for a checkpoint
        files, memory = self._look(state.memory)
        done = Round(files, memory.at, state._replace(memory=memory))
        if not tracker.try_claim(done):
            return
        yield from self._stamped(files, memory.at)
        if self._is_over(memory.at - state.begun):
            return
        # behind the files, none of which may be late
        advance(estimator, self._stamp(memory.at - self._unseen))
        tracker.defer_remainder(self._pause)

    def _is_over(self, micros: int) -> bool:
        if self._stop_after is not None and micros > self._stop_after * MICROS:
            return True
        return self._notices is not None and self._notices.is_stop_asked()

    def _stamped(self, files: Sequence[SeenFile], found: int) -> Iterator[TimestampedValue]:
        for file in files:
            # a file by a clock that is ahead must not be ahead of the watermark: its records need not be
            yield TimestampedValue(file, self._stamp(min(file[2], found)))

    def _stamp(self, micros: int) -> Timestamp:
        return Timestamp(micros=micros - self._delay)


def advance(estimator: Any, watermark: Timestamp) -> None:
    """Let the watermark go on; an estimator refuses one that goes back."""
    current = estimator.current_watermark()
    if current is None or watermark > current:
        estimator.set_watermark(watermark)


class NoteArrivals(beam.DoFn):
    """Makes files of what was seen; where nothing says when one arrived, that is when it was found for the first time.

    Takes the fields of a SeenFile, and a version if that is known.

    Args:
      notes: keep that time; None: if a runner goes back, it is another.
    """

    def __init__(self, notes: FoundNotes | None) -> None:
        self._notes = notes

    def process(self, file: tuple[Any, ...]) -> Iterator[FoundFile]:
        """Return the file."""
        path, size, arrived, is_found, *version = file
        if is_found and self._notes is not None:
            arrived = self._notes.first(path, arrived)
        BeamCounts().count(FILES_FOUND)
        yield path, size, arrived, version[0] if version else ""
