"""WriteDeadLetters: what could not be packed is kept beside the data, and passed on."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from beam_s3box.dead_letters import DeadLetter, write_dead_letters
from beam_s3box.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.transforms.plan import WritePlan

_ORIGIN_CHARACTERS = 12
_FILE_BYTES = 16 * MiB
"""Raw bytes of one file of dead letters."""


class WriteDeadLetters(beam.DoFn):
    """Writes dead letters to files of their own and emits them unchanged, in their windows.

    *Guarantees*: a bundle ends when its dead letters are in the store. A bundle that is retried writes its files again
    under other names, so the files may hold a dead letter twice; the PCollection does not.
    """

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def start_bundle(self) -> None:
        """Begin with none, under a new origin."""
        self._origin = new_token(_ORIGIN_CHARACTERS)
        self._sequence = 0
        self._letters: list[DeadLetter] = []
        self._bytes = 0

    def process(self, letter: DeadLetter) -> Iterator[DeadLetter]:
        """Keep the dead letter for the file and pass it on."""
        self._letters.append(letter)
        self._bytes += len(letter.raw)
        if self._bytes >= _FILE_BYTES:
            self._write()
        yield letter

    def finish_bundle(self) -> None:
        """Write what is left."""
        if self._letters:
            self._write()

    def _write(self) -> None:
        write_dead_letters(self._plan.store, self._plan.layout, self._origin, self._sequence, self._letters)
        self._sequence += 1
        self._letters, self._bytes = [], 0
