"""Templates of the keys of shards: checked when they are given, so that no two shards can share a key."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import string
from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import Stream, column_folder, folder_name
from beam_s3box.shards.window_names import Bounds, bounds_of, format_moment, moment_name, unsupported_directive

_REQUIRED: Final = frozenset({"domain", "namespace", "run_id", "origin", "sequence", "digest", "extension"})
_TIMES: Final = frozenset({"window_start", "window_end"})
_WINDOW: Final = frozenset({"window", *_TIMES})
"""One of these at least: people look for the records of a window."""

_KNOWN: Final = _REQUIRED | _WINDOW

_OWN_FOLDERS: Final = ("manifests", "dead-letters", "runs")
_SEQUENCE_FORMAT: Final = re.compile(r"(0?\d{1,2}d?|d)?", re.ASCII)
_TIME_FORMAT: Final = re.compile(r"[A-Za-z0-9%=_./-]+", re.ASCII)
_TIME_HELP: Final = (
    "a time is written by the directives %Y %y %m %d %j %H %M %S %G %V %u between letters, digits and '-', '_', '.', "
    "'=', '/', as {window_start:%Y-%m-%d}"
)


class Field(NamedTuple):
    """A field of a template, and how it is formatted."""

    name: str
    form: str


@dataclasses.dataclass(frozen=True)
class KeyTemplate:
    """A template of the keys of shards.

    What keeps two shards apart is always in it: their streams, each half in a folder of its own, the run, the origin
    with its sequence, which no two windows share, and the digest of their bytes.

    Attributes:
      text: with fields in braces.

    Raises:
      ConfigurationError: a field is missing or unknown, or keys could leave their place or be shared.
    """

    text: str

    def __post_init__(self) -> None:
        fields = {field.name for field in self._fields}
        unknown = sorted(fields - _KNOWN)
        if unknown:
            close = difflib.get_close_matches(unknown[0], _KNOWN, 1)
            hint = f"did you mean {{{close[0]}}}?" if close else f"known are {', '.join(sorted(_KNOWN))}"
            raise ConfigurationError(f"key_template={self.text!r} has the unknown field {{{unknown[0]}}}: {hint}")
        missing = sorted(_REQUIRED - fields) or ([] if fields & _WINDOW else ["window"])
        if missing:
            raise ConfigurationError(
                f"key_template={self.text!r} lacks {{{missing[0]}}}: it must use each of {', '.join(sorted(_REQUIRED))}"
                ", and one of {window}, {window_start} and {window_end}, or two shards could share a key"
            )
        self._check_formats()
        self._check_folders()

    @property
    def times(self) -> list[str]:
        """The bounds of windows that are in it."""
        return sorted(_TIMES.intersection(field.name for field in self._fields))

    def check_windows(self) -> None:
        """Raise ConfigurationError if the template has the time of a window, where there are none."""
        if self.times:
            raise ConfigurationError(
                f"key_template={self.text!r} has {{{self.times[0]}}}, and the records are in the global window, which "
                "neither begins nor ends: give windowing=FixedWindows(86_400), or in a backfill "
                "--timestamp_field=FIELD --window=fixed:1d; or use {window}, which is empty there"
            )

    def render(self, stream: Stream, window: str, folder_bytes: int, **rest: str | int) -> str:
        """Return the key of a shard.

        Args:
          stream: the stream of its records.
          window: the window's name.
          folder_bytes: maximum length of the folder name of a domain or namespace.
          rest: all other fields.

        Raises:
          ConfigurationError: the template has a time that the window does not have.
        """
        names = {
            part: (column_folder if part in self._columns else folder_name)(name, folder_bytes)
            for part, name in stream._asdict().items()
        }
        times = self._times_of(window) if self.times else {}
        return self.text.format(**names, **times, window=f"{window}/" if window else "", **rest)

    def _times_of(self, window: str) -> dict[str, _Moment]:
        if not window:
            self.check_windows()
        bounds: Bounds = bounds_of(window)
        if bounds.start is None and "window_start" in self.times:
            raise ConfigurationError(
                f"key_template={self.text!r} has {{window_start}}, and the window {window!r} is of a class of its own, "
                "of which only the end is known: use {window_end} or {window}"
            )
        return {"window_start": _Moment(bounds.start or 0), "window_end": _Moment(bounds.end)}

    @functools.cached_property
    def _fields(self) -> list[Field]:
        try:
            parts = list(string.Formatter().parse(self.text))
        except (TypeError, ValueError) as exc:
            raise ConfigurationError(f"key_template={self.text!r} is not a template: {exc}") from exc
        return [
            Field(field, (f"!{conversion}" if conversion else "") + (form or ""))
            for _, field, form, conversion in parts
            if field is not None
        ]

    @functools.cached_property
    def _columns(self) -> frozenset[str]:
        """The halves of a stream that stand as `name=value`, as Hive writes the columns of partitions."""
        return frozenset(part for part in Stream._fields if f"={{{part}}}" in self.text)

    def _check_formats(self) -> None:
        for field in self._fields:
            if field.name in _TIMES:
                self._check_time(field)
            elif field.form and not (field.name == "sequence" and _SEQUENCE_FORMAT.fullmatch(field.form)):
                raise ConfigurationError(
                    f"key_template={self.text!r} formats {{{field.name}}} by {field.form!r}: only {{sequence}} may "
                    "have a format, such as 05d, and the times of windows, such as {window_start:%Y-%m-%d}"
                )

    def _check_time(self, field: Field) -> None:
        form = field.form
        wrong = unsupported_directive(form)
        if wrong is None and form and not _TIME_FORMAT.fullmatch(form):
            wrong = next(character for character in form if not _TIME_FORMAT.fullmatch(character))
        if wrong is not None:
            raise ConfigurationError(
                f"key_template={self.text!r} formats {{{field.name}}} by {form!r}, which has {wrong!r}: {_TIME_HELP}"
            )

    def _check_folders(self) -> None:
        components = self._skeleton().split("/")
        windows = sum(field.name == "window" for field in self._fields)
        if components.count("{window}") != windows or windows > 1 or "{window}/" in self.text:
            raise ConfigurationError(
                f"key_template={self.text!r} must have {{window}} at the beginning of a folder's or file's name, "
                "without a '/' after it: {window} ends with one"
            )
        if not all(component.strip(".") for component in components) or ".." in self.text:
            raise ConfigurationError(f"key_template={self.text!r} must be relative, without empty, '.' or '..' folders")
        if "{" in components[0] or components[0] in _OWN_FOLDERS:
            raise ConfigurationError(
                f"key_template={self.text!r} must start with a constant folder, not with a field, and not with "
                f"{', '.join(_OWN_FOLDERS)}"
            )
        for component in components:
            if ("{domain}" in component or "{namespace}" in component) and component.count("{") != 1:
                raise ConfigurationError(
                    f"key_template={self.text!r} must have {{domain}} and {{namespace}} each in its own folder, or "
                    "two streams could share a key"
                )

    def _skeleton(self) -> str:
        """Return the template with the folders that it makes: those in the formats of times, and that of the window."""
        text = self.text.replace("{window}", "{window}/")
        for field in self._fields:
            if field.name in _TIMES and "/" in field.form:
                folders = (folder.strip(".") and "{time}" for folder in field.form.split("/"))
                text = text.replace(f"{{{field.name}:{field.form}}}", "/".join(folders))
        return text


class _Moment(int):
    """Microseconds since 1970 that are formatted as a time."""

    def __format__(self, form: str) -> str:
        return format_moment(self, form) if form else moment_name(self)
