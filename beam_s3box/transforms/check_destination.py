"""CheckDestination: tries to write as soon as the pipeline starts, whatever its source does."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pvalue import PBegin

from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import check_once


class CheckDestination(beam.PTransform):
    """Writes a small object on a worker, as the shards will be written, and deletes it.

    *Guarantees*: a wrong key or an endpoint that does not answer fails the pipeline within seconds, also if no record
    ever arrives. On engines this runs at the same time as the source, and no record is packed before the run id is
    claimed, which is a write too. FnApiRunner runs one stage after the other; there EncodeSegments checks as well,
    before its stage reads the first record. No side input makes it wait: that would cost time for each record, and
    state in a stream. What precedes a shuffle in front of the write may have run before.
    """

    def __init__(self, plan: WritePlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, begin: PBegin) -> beam.PCollection[None]:
        """Return nothing."""
        return begin | "Once" >> beam.Impulse() | "TryToWrite" >> beam.ParDo(_TryToWrite(self._plan))


class _TryToWrite(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(self, element: bytes) -> None:
        check_once(self._plan.store, self._plan.claim)
