"""How a record names its stream: by two of its fields, by constants, by a function, or by its key."""

from __future__ import annotations

import ast
import dataclasses
import decimal
import enum
import functools
import itertools
import math
import numbers
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from beam_s3box.checks import with_article
from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.records.encoding import BAD_STREAM, MISSING_STREAM
from beam_s3box.records.json_values import as_mapping
from beam_s3box.records.paths import FieldPath, find_field, paths_of
from beam_s3box.records.streams import Stream

_UNSUPPORTED = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
"""Characters that the JSON decoder can't have in the name of a field."""

_MISSING = re.compile(r"no field ('.*'|\".*\"), or it is null")
"""As `missing_field` says it."""

StreamFunction: TypeAlias = Callable[[Mapping[str, Any]], tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class StreamSelector:
    r"""How a record names its stream. Without any argument, records are keyed: `((domain, namespace), record)`.

    Attributes:
      domain, namespace: constants.
      domain_field, namespace_field: fields of the record, whose text or number is the name. `user.country` is the
        field of that very name or, in a record without it, `country` in `user`; `user\.country` never the latter.
      stream: a function that takes the record as a mapping and returns (domain, namespace).
    """

    domain: str | None = None
    namespace: str | None = None
    domain_field: str | None = None
    namespace_field: str | None = None
    stream: StreamFunction | None = None

    def __post_init__(self) -> None:
        for part in ("domain", "namespace"):
            self._check_part(part, getattr(self, part), getattr(self, f"{part}_field"))
        named = [name for name in ("domain", "namespace") if self._is_named(name)]
        if self.stream is not None and (named or not callable(self.stream)):
            raise ConfigurationError("stream must be a function, and can't be combined with domain or namespace")
        every = itertools.chain.from_iterable(self.paths)
        if any(other[: len(path)] == path for path, other in itertools.permutations(every, 2)):
            raise ConfigurationError(
                f"domain_field={self.domain_field!r} and namespace_field={self.namespace_field!r} can't both name a "
                "stream: one is an object that has the other"
            )
        if len(named) == 1:
            other = "namespace" if named == ["domain"] else "domain"
            raise ConfigurationError(
                f"{named[0]} is given and {other} is not: give {other}='...' or {other}_field='...'"
            )

    @functools.cached_property
    def is_keyed(self) -> bool:
        """Whether records are keyed by their stream."""
        return self.stream is None and not self._is_named("domain")

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of a record that name its stream."""
        return tuple(dict.fromkeys(filter(None, (self.domain_field, self.namespace_field))))

    @functools.cached_property
    def paths(self) -> tuple[tuple[FieldPath, ...], ...]:
        """Where each of these fields may be."""
        return tuple(map(paths_of, self.fields))

    @functools.cached_property
    def _is_plain(self) -> bool:
        """Whether each field can only be at the top of a record."""
        return all(paths == ((field,),) for field, paths in zip(self.fields, self.paths, strict=True))

    def stream_of(self, fields: Mapping[str, Any]) -> Stream:
        """Return the stream of a record.

        Raises:
          RecordError: the record names no stream.
        """
        if self.stream is not None:
            return _checked_stream(_call(self.stream, fields))
        if self._is_plain and type(fields) is dict:
            # almost all records: two texts at the top
            domain = self.domain or fields.get(self.domain_field)
            namespace = self.namespace or fields.get(self.namespace_field)
            if type(domain) is type(namespace) is str and domain and namespace and (domain + namespace).isascii():
                return Stream(domain, namespace)
        found = (find_field(fields, paths, as_mapping) for paths in self.paths)
        return self.stream_of_values(dict(zip(self.fields, found, strict=True)))

    def stream_of_values(self, values: Mapping[str, Any]) -> Stream:
        """Return the stream that the values of `fields` name.

        Raises:
          RecordError: they name no stream.
        """
        domain = self.domain or _field_text(values, self.domain_field or "")
        namespace = self.namespace or _field_text(values, self.namespace_field or "")
        return Stream(domain, namespace)

    def _is_named(self, part: str) -> bool:
        return getattr(self, part) is not None or getattr(self, f"{part}_field") is not None

    @staticmethod
    def _check_part(part: str, constant: str | None, field: str | None) -> None:
        for name, value in ((part, constant), (f"{part}_field", field)):
            if callable(value):
                raise ConfigurationError(
                    f"{name} is a function, and must be non-empty text: for a function of the record give "
                    "stream=lambda record: (domain, namespace)"
                )
            if value is not None and (not isinstance(value, str) or not value):
                raise ConfigurationError(f"{name}={value!r} must be non-empty text")
        paths = () if field is None else paths_of(field)
        if field is not None and not (paths and not any(_UNSUPPORTED.search(name) for path in paths for name in path)):
            raise ConfigurationError(
                f"{part}_field={field!r} must not contain quotes, control characters or backslashes but before a dot"
            )
        if constant is not None and field is not None:
            raise ConfigurationError(f"{part}={constant!r} and {part}_field={field!r} are mutually exclusive: give one")
        if constant is not None:
            _check_name(part, constant)


def split_key(element: Any) -> tuple[Stream, Any]:
    """Return the stream and the record of a keyed element.

    Raises:
      RecordError: the element has no key, or the key does not name a stream.
    """
    match element:
        case (tuple() as key, record):
            return _checked_stream(key), record
    raise RecordError(
        f"{with_article(type(element).__name__)}, not ((domain, namespace), record); give domain_field and "
        "namespace_field, or domain and namespace, or stream, for records without a key",
        MISSING_STREAM,
    )


def missing_field(field: str) -> str:
    """Return what is wrong with a record without this field."""
    return f"no field {field!r}, or it is null"


def missing_name(detail: str) -> str | None:
    """Return the field of which `missing_field` says so, None for other details."""
    match = _MISSING.fullmatch(detail)
    return None if match is None else str(ast.literal_eval(match[1]))


def _checked_stream(names: Any) -> Stream:
    match names:
        case (domain, namespace):
            return Stream(_name_text("domain", domain), _name_text("namespace", namespace))
    raise RecordError(f"a stream is a pair (domain, namespace), not {names!r}", BAD_STREAM)


def _call(function: StreamFunction, fields: Mapping[str, Any]) -> tuple[str, str]:
    try:
        return function(fields)
    except Exception as exc:  # the user's code: the record becomes a dead letter that says why
        raise RecordError(f"the stream function raised {type(exc).__name__}: {exc}", BAD_STREAM) from exc


def _field_text(values: Mapping[str, Any], field: str) -> str:
    if values[field] is None:
        raise RecordError(missing_field(field), MISSING_STREAM)
    return _name_text(f"field {field!r}", values[field])


def _name_text(what: str, value: Any) -> str:
    """Return the text of a domain or namespace; numbers become text, and nothing else does."""
    if type(value) is str and value and value.isascii():
        return value  # almost all names, and asking whether it is a number costs more than all else
    if isinstance(value, enum.Enum):
        return _name_text(what, value.value)
    if isinstance(value, numbers.Number) and not isinstance(value, bool | complex):
        return _number_text(what, value)
    if not isinstance(value, str) or not value:
        shown = "empty" if value == "" else f"of type {type(value).__name__}"
        raise RecordError(f"the {what} is {shown}; a stream is named by text or a number", BAD_STREAM)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise RecordError(f"the {what} has a lone surrogate", BAD_STREAM) from exc
    return str(value)


def _number_text(what: str, value: Any) -> str:
    try:
        finite = value.is_finite() if isinstance(value, decimal.Decimal) else math.isfinite(value)
        text = str(value)
    except (OverflowError, ValueError) as exc:  # a fraction or an integer too large for Python to write
        raise RecordError(f"the {what} is a number that can't be written: {exc}", BAD_STREAM) from exc
    if not finite:
        raise RecordError(f"the {what} is {text}, which names no stream", BAD_STREAM)
    return text


def _check_name(part: str, name: str) -> None:
    try:
        _name_text(part, name)
    except RecordError as exc:
        raise ConfigurationError(f"{part}={name!r} can't name a stream: {exc}") from exc
