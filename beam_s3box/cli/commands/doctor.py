"""`doctor`: what a store really guarantees."""

from __future__ import annotations

from collections.abc import Sequence

from beam_s3box.cli.console.diagnoses import print_diagnosis, print_finding
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.doctor import DOCTOR_PARSER
from beam_s3box.cli.options.s3 import credentials_of, settings_of
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.runs.doctor.examination import examine
from beam_s3box.runs.doctor.findings import Finding
from beam_s3box.stores import open_store, warn_of_missing_scheme


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        given = DOCTOR_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        if not given.place:
            raise ConfigurationError("the URL is missing: say what to examine, as s3://bucket/prefix")
        store = open_store(warn_of_missing_scheme(given.place), settings_of(given), credentials_of(given))

        def note(finding: Finding) -> None:
            if not given.json:
                print_finding(finding, is_quiet=given.quiet)

        diagnosis = examine(store, note)
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, f"{exc}{_notes_of(exc)}", log)
    except KeyboardInterrupt as exc:
        if notes := _notes_of(exc):
            say(f"interrupted{notes}", error=True)
        raise
    print_diagnosis(diagnosis, is_json=given.json, is_quiet=given.quiet)
    return 0 if diagnosis.is_well else 1


def _notes_of(error: BaseException) -> str:
    return "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
