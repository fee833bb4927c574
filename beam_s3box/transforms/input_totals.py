"""SumInput: what came in, added up over bundles by file, and then over files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from beam_s3box.engine.input_totals import InputTotals, sum_totals

BY_FILE = tuple[str, Any]
"""A file's name, "" for records of which nobody knows it, and InputTotals, which are pickled: they are few."""

_ALL = ""


class SumInput(beam.PTransform):
    """Adds up `(file, InputTotals)` of bundles: one element comes out, the run's, and none for a run of nothing.

    The counts are data and no counters: a bundle that is done again counts once.

    Args:
      window: puts them into the global window.
    """

    def __init__(self, window: beam.PTransform) -> None:
        super().__init__()
        self._window = window

    def expand(self, totals: beam.PCollection) -> beam.PCollection:
        """Return the sum, keyed by ""."""
        return (
            totals
            | "WindowGlobally" >> self._window
            | "SumByFile" >> beam.CombinePerKey(sum_totals).with_output_types(BY_FILE)
            | "OfRun" >> beam.ParDo(_OfRun()).with_output_types(BY_FILE)
            | "Sum" >> beam.CombinePerKey(sum_totals).with_output_types(BY_FILE)
        )


class _OfRun(beam.DoFn):
    def process(self, element: tuple[str, InputTotals]) -> Iterator[tuple[str, InputTotals]]:
        source, totals = element
        yield _ALL, totals.of_file(source)
