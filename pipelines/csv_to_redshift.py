r"""CSV files into a Redshift table: a short pipeline to copy and change.

    python -m pipelines.csv_to_redshift --input='data/*.csv' --destination=s3://bucket/orders \
        --table=public.orders --redshift=redshift://loader@host:5439/dev --iam_role=arn:aws:iam::123456789012:role/copy

The password is read from REDSHIFT_PASSWORD on the workers. Options that are not listed by --help are Beam's, such as
--runner or --s3_endpoint_url.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import CopyToRedshift, LoadFailure, RedshiftConnection, WriteToS3Box


def main(argv: Sequence[str] | None = None) -> None:
    """Run the pipeline and wait for its end.

    Args:
      argv: options; default: the command line's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, metavar="GLOB")
    parser.add_argument("--destination", required=True, metavar="s3://BUCKET/PREFIX")
    parser.add_argument("--table", required=True, metavar="SCHEMA.TABLE")
    parser.add_argument("--redshift", required=True, metavar="URL", help="redshift://user@host:port/database")
    parser.add_argument("--iam_role", required=True, metavar="ARN", help="role that lets Redshift read the bucket")
    given, of_beam = parser.parse_known_args(argv)
    with beam.Pipeline(options=PipelineOptions(of_beam)) as pipeline:
        written = (
            pipeline
            | "MatchFiles" >> fileio.MatchFiles(given.input)
            | "OpenFiles" >> fileio.ReadMatches()
            | "ReadRows" >> beam.FlatMap(read_rows)
            | "WriteToS3Box" >> WriteToS3Box(given.destination, domain="shop", namespace="orders")
        )
        loaded = written.manifests | "CopyToRedshift" >> CopyToRedshift(
            given.table,
            connection=RedshiftConnection.from_dsn(given.redshift),
            iam_role=given.iam_role,
            create_tables=True,
            on_failure="emit",
        )
        # what could not be loaded is an output, not an error: without this step the pipeline would succeed
        loaded.failures | "FailOnFailures" >> beam.Map(fail)


def read_rows(file: fileio.ReadableFile) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with a header; values stay text, and COPY converts them."""
    with io.TextIOWrapper(file.open(), encoding="utf-8-sig", newline="") as text:
        yield from csv.DictReader(text)


def fail(failure: LoadFailure) -> None:
    """Fail the pipeline with the reason of a load that failed."""
    raise RuntimeError(f"{failure.table}: {failure.message}")


if __name__ == "__main__":
    main()
