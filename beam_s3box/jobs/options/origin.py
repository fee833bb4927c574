"""What the record of a run says of the job that writes it: its command and the options that the user chose."""

from __future__ import annotations

import argparse

from beam_s3box.cli.options.parser import CommandParser, chosen_of
from beam_s3box.engine.run_record import RunOrigin
from beam_s3box.engine.run_settings import without_secrets
from beam_s3box.engine.run_totals import RunInput


def command_origin(
    kind: str, given: argparse.Namespace, command: CommandParser, input: RunInput | None = None
) -> RunOrigin:
    """Return what writes the run of a job; Beam's own options, of which some are secret, are not in it.

    Args:
      kind: one of `beam_s3box.engine.run_record.KINDS`.
      given: the options.
      command: its options, as they are by default.
      input: what is known of the input before the run.
    """
    return RunOrigin(kind=kind, settings=without_secrets(chosen_of(given, command.actions)), input=input)
