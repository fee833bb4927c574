"""The write that all options of a job together describe."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions, S3Options
from apache_beam.transforms.window import WindowFn

from beam_s3box.cli.options.manifests import manifests_of
from beam_s3box.cli.options.naming import naming_of
from beam_s3box.cli.options.notify import notifier_of
from beam_s3box.cli.options.s3 import settings_of
from beam_s3box.cli.options.shards import format_of, limits_of
from beam_s3box.cli.options.write import max_record_bytes_of
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.runners import template_of
from beam_s3box.jobs.options.stream import BOUNDED, Packing
from beam_s3box.records.lines import longest_line
from beam_s3box.shards.runs import new_run_id
from beam_s3box.stores import Store, open_store
from beam_s3box.transforms.s3_options import credentials_of
from beam_s3box.transforms.tuning import Tuning
from beam_s3box.transforms.write import WriteToS3Box


class Write(NamedTuple):
    """What is to be written, and where.

    Attributes:
      transform: writes the records.
      store: the destination, as the launcher sees it.
      run_id: the id of the run.
      has_manifests: whether manifests are written.
      is_named: whether the user gave the run its id.
      max_line_bytes: of a line that is read whole.
    """

    transform: WriteToS3Box
    store: Store
    run_id: str
    has_manifests: bool
    is_named: bool
    max_line_bytes: int


def write_of(
    options: PipelineOptions,
    *,
    stream: Packing = BOUNDED,
    domain: str | None = None,
    windowing: WindowFn | None = None,
) -> Write:
    """Return the write that the options describe; nothing is connected or read but the file of limits.

    Args:
      options: of the job.
      stream: how unbounded input is packed.
      windowing: the windows of the records; None for those that they are in.
      domain: of all records, where their source names it and no option does.

    Raises:
      ConfigurationError: an option is missing or can't work.
    """
    given = given_of(options)
    given.domain = domain or given.domain
    is_named = given.run_id is not None
    given.run_id = given.run_id if is_named else new_run_id()
    # the job checks it before, but a template starts later, elsewhere
    is_template = template_of(options) is not None
    transform = transform_of(given, stream=stream, windowing=windowing, check_destination=is_template)
    store = open_store(given.destination, settings_of(given), credentials_of(options.view_as(S3Options)))
    max_line_bytes = longest_line(transform.max_record_bytes)
    has_manifests = manifests_of(given, format_of(given)) is not None
    return Write(transform, store, given.run_id, has_manifests, is_named, max_line_bytes)


def transform_of(
    given: argparse.Namespace,
    *,
    stream: Packing = BOUNDED,
    windowing: WindowFn | None = None,
    check_destination: bool = True,
) -> WriteToS3Box:
    """Return the transform that the options describe.

    Args:
      given: the options of the write, its shards, manifests and streams, and of S3.
      stream: how unbounded input is packed.
      windowing: the windows of the records; None for those that they are in.
      check_destination: whether a worker tries to write as soon as the pipeline starts.

    Raises:
      ConfigurationError: an option is missing or can't work.
    """
    if not given.destination:
        raise ConfigurationError("--destination is missing: say where to write, as --destination=s3://bucket/prefix")
    naming, format = naming_of(given), format_of(given)
    return WriteToS3Box(
        given.destination,
        domain=naming.domain,
        namespace=naming.namespace,
        domain_field=naming.domain_field,
        namespace_field=naming.namespace_field,
        limits=limits_of(given, stream.seconds, stream.lanes),
        format=format,
        manifests=manifests_of(given, format),
        run_id=given.run_id,
        on_bad_record=given.on_bad_record,
        max_dead_letters=given.max_dead_letters,
        max_record_bytes=max_record_bytes_of(given),
        long_values=given.long_values,
        s3=settings_of(given),
        windowing=windowing,
        key_template=given.key_template,
        on_commit=notifier_of(given),
        check_destination=check_destination,
        tuning=Tuning(upload_concurrency=given.s3_concurrency),
    )
