"""What a launcher says in the record of a run when its pipeline has ended, and nothing of it goes on elsewhere."""

from __future__ import annotations

from apache_beam.runners.runner import PipelineResult, PipelineState

from beam_s3box.cli.console.interrupts import Interrupted
from beam_s3box.errors import S3BoxError
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.run.failures import is_of_silent_store, reason_of
from beam_s3box.jobs.run.logging import JobLog


def mark_failed(write: Write, result: PipelineResult | None, error: Exception, log: JobLog) -> list[str]:
    """Say that the run failed, unless it may still go on elsewhere; return what is to be known besides the error."""
    if is_of_silent_store(error) or (result is not None and not PipelineState.is_terminal(result.state)):
        return []
    reason = S3BoxError(log.masked(reason_of(error)))
    write.transform.claim.fail_by(write.store, reason)
    return list(getattr(reason, "__notes__", ()))


def mark_interrupted(write: Write, error: Interrupted) -> None:
    """Say that the run was interrupted; for runners that end with this process."""
    write.transform.claim.fail_by(write.store, error)


def mark_ended(write: Write) -> None:
    """Say that an unbounded run has ended.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    if not write.transform.claim.bounded:
        write.transform.claim.end(write.store)
