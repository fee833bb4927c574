"""Out of the windows and back: steps between the two see every element at once, whatever trigger and lateness say."""

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
    """Return the step into the global window where no element waits for another, and none is ever too late."""
    return beam.WindowInto(
        GlobalWindows(),
        trigger=Repeatedly(AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
        # at the end of this window the watermark would have left every element behind
        timestamp_combiner=TimestampCombiner.OUTPUT_AT_EARLIEST,
    )


class ReifyWindow(beam.PTransform):
    """Turns each element into `(encoded window, element)` in the global window; it keeps its time."""

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self._windows = windows

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Return the pairs."""
        note = beam.ParDo(NoteWindow(self._windows)).with_output_types(tuple[bytes, elements.element_type])
        return elements | "NoteWindow" >> note | "WindowGlobally" >> into_global_window()


class RestoreWindows(beam.PTransform):
    """Turns `(encoded window, element)`, stamped with the window's end, into the element in that window.

    Args:
      windows: encode the window.
      windowing: of what comes out.
      element_type: of what comes out.
    """

    def __init__(self, windows: Windows, windowing: Windowing, element_type: Any) -> None:
        super().__init__()
        self._windows = windows
        self._windowing = windowing
        self._element_type = element_type

    def expand(self, pairs: beam.PCollection) -> beam.PCollection:
        """Return the elements."""
        again = window_into(self._windowing, restoring_windowfn(self._windowing.windowfn))
        keep = beam.ParDo(_KeepOwnWindow(self._windows)).with_output_types(self._element_type)
        return pairs | "WindowAgain" >> again | "KeepOwnWindow" >> keep


class FireOnce(beam.PTransform):
    """Keeps elements of bounded input, stamped with their window's end, in their windows, without the input's trigger.

    One that fires more often, or that may finish, would list a window's shards in several manifests, or not at all.
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
        """Emit the element, or nothing: sliding windows overlap.

        Raises:
          ConfigurationError: the element's window is none of these, so that it would be lost.
        """
        encoded, value = element
        if self._windows.encode(window) == encoded:
            yield value
        elif not self._windows.are_of(encoded):
            raise ConfigurationError(
                f"windowing: the job's state holds records in windows that this pipeline does not have, {encoded!r} as "
                "Beam encodes them: a job that runs keeps its windows; go back to the pipeline that it was, drain it, "
                "and begin the new one as a job of its own"
            )
