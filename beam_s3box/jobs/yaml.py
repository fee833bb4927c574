"""WriteToS3Box for Beam YAML: each option of the write is a field, under its name on the command line."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection

from beam_s3box.cli.options.config import arguments_of
from beam_s3box.cli.options.jobs import add_packing_arguments
from beam_s3box.cli.options.manifests import MANIFESTS
from beam_s3box.cli.options.naming import NAMING
from beam_s3box.cli.options.parser import StrictParser, actions_of
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING
from beam_s3box.cli.options.shards import SHARDS
from beam_s3box.cli.options.write import WRITE
from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.stream import Packing
from beam_s3box.jobs.options.write import transform_of
from beam_s3box.transforms.result import WriteToS3BoxResult

_ADDS: Final = (
    *(section.add for section in (WRITE, NAMING, SHARDS, MANIFESTS, S3_WRITING, S3_REACHING)),
    add_packing_arguments,
)
_NO_FIELDS: Final = frozenset({"if_finished", "s3_access_key_id", "s3_secret_access_key", "s3_session_token"})
"""What only a command can do, as it ends before there is a pipeline; and keys, which belong into no pipeline's file."""

_INLINE: Final = frozenset({"limits", "avro_schema"})
"""Fields that may hold what a file would."""

_ACTIONS: Final = {action.dest: action for add in _ADDS for action in actions_of(add) if action.dest not in _NO_FIELDS}
_BY_OPTION: Final = {name: action for action in _ACTIONS.values() for name in action.option_strings}
_ERRORS: Final = "error_handling"
_NAME: Final = "WriteToS3Box"


class BadRecord(NamedTuple):
    """A DeadLetter in types that every sink of Beam YAML takes.

    Attributes:
      domain, namespace: its stream, where that is known.
      reason: one of the reasons that docs/dead-letters.md lists.
      detail: what exactly is wrong.
      raw: the record as text.
    """

    domain: str | None
    namespace: str | None
    reason: str
    detail: str
    raw: str


class WriteToS3Box(beam.PTransform):
    """Writes rows, grouped by stream, as gzip JSON shards on S3, and the manifests that Redshift's COPY loads.

    The outputs are `shards`, `manifests` and, where `error_handling` names it, that of the records that could not be
    packed. Without `error_handling` such a record fails the pipeline, unless `on_bad_record` says otherwise.
    """

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        values = {name: _plain(value) for name, value in fields.items() if value is not None}
        self._letters = _output_of(values.pop(_ERRORS, None))
        values.setdefault("on_bad_record", "dead_letter" if self._letters else "fail")
        if self._letters and values["on_bad_record"] != "dead_letter":
            raise ConfigurationError(
                f"on_bad_record={values['on_bad_record']!r} and {_ERRORS} are mutually exclusive: with it bad records "
                "go to its output; leave on_bad_record out"
            )
        given = _parsed(values)
        self._write = transform_of(given, stream=Packing(given.max_seconds or None, given.lanes))

    def expand(self, rows: PCollection[Any]) -> dict[str, PCollection[Any]]:
        """Return the outputs by name, each of rows with a schema."""
        result: WriteToS3BoxResult = rows | "Write" >> self._write
        outputs: dict[str, PCollection[Any]] = {"shards": result.shards, "manifests": result.manifests}
        if self._letters:
            letters = result.dead_letters | "AsRows" >> beam.ParDo(_AsRow()).with_output_types(BadRecord)
            outputs[self._letters] = letters
        return outputs


class _AsRow(beam.DoFn):
    def process(self, letter: DeadLetter) -> Iterator[BadRecord]:
        raw = letter.raw.decode(errors="backslashreplace")
        yield BadRecord(letter.domain, letter.namespace, letter.reason, letter.detail, raw)


def _parsed(values: dict[str, Any]) -> argparse.Namespace:
    """Return fields as a command line has its options."""
    inline = {name: values.pop(name) for name in _INLINE if isinstance(values.get(name), Mapping)}
    parser = StrictParser(add_help=False, allow_abbrev=False)
    for add in _ADDS:
        add(parser)
    given = parser.parse_args(arguments_of(values, _BY_OPTION, _NAME))
    for name, value in inline.items():
        setattr(given, name, value)
    return given


def _output_of(error_handling: Any) -> str | None:
    if error_handling is None:
        return None
    if not isinstance(error_handling, Mapping) or set(error_handling) != {"output"} or not error_handling["output"]:
        raise ConfigurationError(
            f"{_NAME}: {_ERRORS}={error_handling!r} must name the output of bad records, as {_ERRORS}: {{output: bad}}"
        )
    return str(error_handling["output"])


def _plain(value: Any) -> Any:
    """Return a value without the numbers of lines that Beam's reader of YAML puts into mappings."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items() if not str(name).startswith("__")}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _signature() -> inspect.Signature:
    """Return the fields as parameters, from which Beam YAML knows them."""
    named = [(name, Any if name in _INLINE else _type_of(action)) for name, action in _ACTIONS.items()]
    fields = [*named, (_ERRORS, Mapping[str, str])]
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return inspect.Signature(
        [own, *(inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in fields)]
    )


def _type_of(action: argparse.Action) -> Any:
    return int if action.type is int else Any


def _documented() -> str:
    described = [
        f"  {name}: {' '.join(str(action.help).replace('%%', '%').split())}" for name, action in _ACTIONS.items()
    ]
    closing = f"  {_ERRORS}: names the output of records that could not be packed, as `output: bad`"
    return "\n".join([inspect.cleandoc(WriteToS3Box.__doc__ or ""), "", "Args:", *described, closing])


WriteToS3Box.__init__.__signature__ = _signature()  # type: ignore[attr-defined]
WriteToS3Box.__doc__ = _documented()
