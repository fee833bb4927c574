"""Options that say how a record names its stream."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.errors import ConfigurationError
from beam_s3box.records.selector import StreamSelector


def add_naming_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--domain", metavar="NAME", help="domain of all records")
    parser.add_argument("--namespace", metavar="NAME", help="namespace of all records")
    parser.add_argument("--domain_field", metavar="FIELD", help="field of the record that holds its domain")
    parser.add_argument("--namespace_field", metavar="FIELD", help="field of the record that holds its namespace")


NAMING: Final = Section("Streams: how a record names its (domain, namespace)", add_naming_arguments)


def naming_of(given: argparse.Namespace) -> StreamSelector:
    """Return how a record names its stream.

    Raises:
      ConfigurationError: nothing says it, or two options contradict each other.
    """
    naming = StreamSelector(given.domain, given.namespace, given.domain_field, given.namespace_field)
    if naming.is_keyed:
        raise ConfigurationError(
            "nothing says how a record names its stream: give --domain or --domain_field, and --namespace or "
            "--namespace_field"
        )
    return naming
