"""A small pipeline with a shuffle: `python -m tests.runners.sums WRONG --runner=…` fails if what it finds is not right.

It has a process of its own, as jobs have: Flink disconnects workers that live in the submitting process (LOOPBACK) when
it is done, and a thread of Beam's dies of that, which in pytest's process would be an error of some test.
"""

from __future__ import annotations

import sys

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from tests.runners.engines import run_to_end

SUMS = [(0, 1683), (1, 1617), (2, 1650)]
"""Of the numbers below 100, by their remainder of 3."""


def main(wrong: str, *arguments: str) -> None:
    """Run the pipeline; `wrong` makes it expect something else, to see that it can fail."""
    pipeline = beam.Pipeline(argv=list(arguments))
    sums = (
        pipeline
        | beam.Create(range(100))
        | "Remainder" >> beam.Map(lambda number: (number % 3, number))
        | beam.GroupByKey()
        | "Sum" >> beam.MapTuple(lambda remainder, numbers: (remainder, sum(numbers)))
    )
    assert_that(sums, equal_to(SUMS[:1] if wrong == "wrong" else SUMS))
    run_to_end(pipeline)


if __name__ == "__main__":
    main(*sys.argv[1:])
