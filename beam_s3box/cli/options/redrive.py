"""The command line of `redrive`, and the write that it describes together with the record of the first run."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Final, get_args

from beam_s3box.cli.options.manifests import MANIFESTS, manifests_of
from beam_s3box.cli.options.naming import NAMING, naming_of
from beam_s3box.cli.options.notify import notifier_of
from beam_s3box.cli.options.overrides import overrides, with_settings
from beam_s3box.cli.options.parser import CommandParser, Section, chosen_of
from beam_s3box.cli.options.reporting import add_log_arguments
from beam_s3box.cli.options.runs import PLACE, PLACE_TITLE, RUN_ID
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING, credentials_of, settings_of
from beam_s3box.cli.options.shards import SHARDS, format_of, limits_of
from beam_s3box.cli.options.windows import DEFAULT_WINDOW, WINDOWS, event_times_of
from beam_s3box.cli.options.write import WRITE, max_record_bytes_of
from beam_s3box.engine.plan import RunPlan, WriteSpec
from beam_s3box.engine.run_reader import Run, find_run, run_of_url
from beam_s3box.engine.run_settings import origin_of
from beam_s3box.errors import ConfigurationError
from beam_s3box.runs.redrive.fix import NO_FIX, load_fix
from beam_s3box.runs.redrive.redrive import Mismatch, Redrive
from beam_s3box.runs.verify.dead_letters import run_of_input
from beam_s3box.shards.key_templates import KeyTemplate
from beam_s3box.shards.keys import DEFAULT_DATA_KEY
from beam_s3box.shards.limits import Limits, StreamLimits, limits_from_json
from beam_s3box.stores import open_written

_ALL_MAY_BE_BAD: Final = "100%"
_DEFAULTS: Final = {
    "format": "json-lines",
    "long_values": "reject",
    "manifest_scope": "stream",
    "key_template": DEFAULT_DATA_KEY,
    "max_dead_letters": _ALL_MAY_BE_BAD,
}


def add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which dead letters, and what becomes of them."""
    parser.add_argument(
        "--reason",
        metavar="REASON",
        action="append",
        help="only dead letters of this reason, as missing-stream; may be given several times (default: all)",
    )
    parser.add_argument(
        "--map",
        metavar="FILE.py:FUNCTION",
        help="a function that takes a DeadLetter, with raw, reason, detail, source and line, and returns the record: a "
        "dict, or JSON as text or bytes (default: the record as it was)",
    )
    parser.add_argument(
        "--mismatch",
        choices=get_args(Mismatch),
        default="fail",
        help="if the store holds another number of dead letters than the run has counted, as after files were removed: "
        "fail, or ignore it and write those that are there (default: fail)",
    )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is printed."""
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", default=False, help="print only errors")
    add_log_arguments(parser)


_LEFT_OUT: Final = ("destination", "run_id", "if_finished", "on_bad_record")

REDRIVE_PARSER: Final = CommandParser(
    "s3box redrive",
    "URL [--run_id ID] [--reason REASON] [--map FILE.py:FUNCTION] [OPTIONS]",
    "Tries the dead letters of a run again, after the data's fix or with other options, and writes those that are "
    "good now as a run of their own, at the same destination, with manifests of its own. What is still bad is a "
    "dead letter of the new run, which can be redriven, too. Each dead letter is written once, however often this "
    "is called, killed or called twice at a time: what was begun is finished. Exit codes: 0 each selected dead "
    "letter is listed, or is one of the new run; 1 it failed; 2 nothing was started.",
    (
        PLACE,
        RUN_ID,
        Section(PLACE_TITLE, add_selection_arguments),
        overrides(WRITE, *_LEFT_OUT),
        overrides(NAMING),
        overrides(WINDOWS),
        overrides(SHARDS),
        overrides(MANIFESTS),
        S3_WRITING,
        S3_REACHING,
        Section("Report", add_output_arguments),
    ),
)
"""The command line."""


def redrive_of(given: argparse.Namespace) -> Redrive:
    """Return the redrive that the options describe; it has read the run's record, and nothing else.

    Raises:
      ConfigurationError: an option is missing or can't work, or there is no such run.
      StoreError: the record can't be read.
    """
    run = _run_of(given)
    settings = run.record.settings
    merged = with_settings(given, settings, _DEFAULTS)
    merged.notify = given.notify
    merged.max_dead_letters = given.max_dead_letters or _ALL_MAY_BE_BAD
    merged.max_record_bytes = None if merged.max_record_bytes is None else str(merged.max_record_bytes)
    if given.manifest_count is None and settings and "manifest_count" not in settings:
        merged.manifest_count = 0
    if run.record.kind == "stream":
        _keep_windows_of_stream(merged, given)
    spec = _spec_of(merged, run)
    chosen = chosen_of(given, REDRIVE_PARSER.actions)

    def plan_of(run_id: str) -> RunPlan:
        named = dataclasses.replace(spec, run_id=run_id)
        return named.plan(run.store, origin=origin_of("redrive", named, options=chosen, parent=run.run_id))

    return Redrive(
        run=run,
        plan_of=plan_of,
        reasons=None if given.reason is None else tuple(given.reason),
        fix=NO_FIX if given.map is None else load_fix(given.map),
        mismatch=given.mismatch,
        keeps_domains=bool(settings.get("domain_from")) and not (given.domain or given.domain_field),
    )


def _run_of(given: argparse.Namespace) -> Run:
    if not given.place:
        raise ConfigurationError("the URL is missing: say where the run has written, as s3://bucket/prefix or a folder")
    destination, run_id = run_of_url(given.place)
    if run_id is not None and given.run_id not in (None, run_id):
        raise ConfigurationError(
            f"{given.place!r} is the record of the run {run_id!r}, and --run_id={given.run_id!r} is another: give one"
        )
    store = open_written(destination, settings_of(given), credentials_of(given))
    return run_of_input(find_run(store, given.run_id or run_id, _has_dead_letters))


def _has_dead_letters(run: Run) -> bool:
    return next(run.dead_letter_files(), None) is not None


def _keep_windows_of_stream(merged: argparse.Namespace, given: argparse.Namespace) -> None:
    """Leave out the windows of a stream unless they are given, or in the keys: a stream needs no time in a record."""
    if given.window is not None or given.timestamp_field is not None:
        return
    if KeyTemplate(merged.key_template).times:
        merged.window = merged.window or DEFAULT_WINDOW
    else:
        merged.window = merged.timestamp_field = None


def _spec_of(merged: argparse.Namespace, run: Run) -> WriteSpec:
    try:
        format = format_of(merged)
        return WriteSpec(
            selector=naming_of(merged),
            format=format,
            manifests=manifests_of(merged, format),
            limits=_limits_of(merged),
            run_id=None,
            max_dead_letters=merged.max_dead_letters,
            max_record_bytes=max_record_bytes_of(merged),
            long_values=merged.long_values,
            upload_concurrency=merged.s3_concurrency,
            key_template=merged.key_template,
            times=event_times_of(merged),
            on_commit=notifier_of(merged),
        )
    except ConfigurationError as exc:
        raise ConfigurationError(
            f"the settings of run {run.run_id}, as its record has them, and the options can't work together: {exc}"
        ) from exc


def _limits_of(merged: argparse.Namespace) -> Limits:
    """Return the limits of shards: those of the record, by pattern, or those of the options."""
    if isinstance(merged.limits, dict):
        return {pattern: limits_from_json(values) for pattern, values in merged.limits.items()}
    if merged.limits is not None and ":" not in merged.limits and not merged.limits.endswith(".json"):
        return StreamLimits()  # a function of the first run, of which only the name is known
    return limits_of(merged)
