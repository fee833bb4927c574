"""WriteDeadLetters: what could not be packed is kept beside the data, and passed on."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from beam_s3box.dead_letters import DeadLetter, DeadLetterFiles
from beam_s3box.transforms.plan import WritePlan


class WriteDeadLetters(beam.DoFn):
    """Writes dead letters to files of their own and emits them unchanged, in their windows.

    *Guarantees*: a bundle ends when its dead letters are in the store. A bundle that is retried writes its files again
    under other names, so the files may hold a dead letter twice; the PCollection does not.
    """

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def start_bundle(self) -> None:
        """Begin with none, under a new origin."""
        self._files = DeadLetterFiles(self._plan.store, self._plan.layout)

    def process(self, letter: DeadLetter) -> Iterator[DeadLetter]:
        """Keep the dead letter for a file and pass it on."""
        self._files.add(letter)
        yield letter

    def finish_bundle(self) -> None:
        """Write what is left."""
        self._files.finish()
