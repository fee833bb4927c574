"""Steps out of the windows and back: those in between see every element at once, whatever trigger and lateness are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, Repeatedly
from apache_beam.transforms.window import GlobalWindows, TimestampCombiner

from beam_s3box.errors import ConfigurationError
from beam_s3box.transforms.windowing import window_into
from beam_s3box.transforms.windows import Windows, restoring_windowfn


def into_global_window() -> beam.WindowInto:
    """Return a step into the global window, where no element waits for another one, and none is too late."""
    return beam.WindowInto(
        GlobalWindows(),
        trigger=Repeatedly(AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
        # with timestamps at the end of this window every element would be behind the watermark
        timestamp_combiner=TimestampCombiner.OUTPUT_AT_EARLIEST,
    )


class ReifyWindow(beam.PTransform):
    """Turns each element into `(encoded window, element)` in the global window, with the same timestamp."""

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self._windows = windows

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Return the pairs."""
        note = beam.ParDo(NoteWindow(self._windows)).with_output_types(tuple[bytes, elements.element_type])
        return elements | "NoteWindow" >> note | "WindowGlobally" >> into_global_window()


class RestoreWindows(beam.PTransform):
    """Turns `(encoded window, element)`, with the end of the window as timestamp, into the element in that window.

    Args:
      windows: encodes windows.
      windowing: the windowing of the output.
      element_type: the element type of the output.
    """

    def __init__(self, windows: Windows, windowing: Windowing, element_type: Any) -> None:
        super().__init__()
        self._windows = windows
        self._windowing = windowing
        self._element_type = element_type

    def expand(self, pairs: beam.PCollection) -> beam.PCollection:
        """Return the elements."""
        window_again = window_into(self._windowing, restoring_windowfn(self._windowing.windowfn))
        keep = beam.ParDo(_KeepOwnWindow(self._windows)).with_output_types(self._element_type)
        return pairs | "WindowAgain" >> window_again | "KeepOwnWindow" >> keep


class FireOnce(beam.PTransform):
    """Keeps elements of bounded input in their windows, without the trigger of the input.

    Their timestamps are the ends of their windows. A trigger that fires more often, or that may finish, would list the
    shards of a window in several manifests, or not at all.
    """

    def __init__(self, windows: Windows, windowing: Windowing) -> None:
        super().__init__()
        self._windows = windows
        self._windowing = windowing

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Return the elements."""
        element_type = elements.element_type
        pairs = elements | "ReifyWindow" >> ReifyWindow(self._windows)
        return pairs | "RestoreWindows" >> RestoreWindows(self._windows, self._windowing, element_type)


class NoteWindow(beam.DoFn):
    """Turns each element into `(encoded window, element)`."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[tuple[bytes, Any]]:
        """Yield the pair."""
        yield self._windows.encode(window), element


class _KeepOwnWindow(beam.DoFn):
    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def process(self, element: tuple[bytes, Any], window: Any = beam.DoFn.WindowParam) -> Iterator[Any]:
        """Emit the element in its own window, and not in others that overlap.

        Raises:
          ConfigurationError: the pipeline does not have this window, so that the element would be lost.
        """
        encoded, value = element
        if self._windows.encode(window) == encoded:
            yield value
        elif not self._windows.are_of(encoded):
            raise ConfigurationError(
                f"windowing: the state of the job has records in windows that this pipeline does not have, {encoded!r} "
                "in the encoding of Beam: a running job can't change its windows; go back to the previous pipeline, "
                "drain it, and start the new one as a new job"
            )
