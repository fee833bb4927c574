"""The settings of a run as its record shows them: plain JSON, without secrets."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from beam_s3box.engine.plan import WriteSpec
from beam_s3box.engine.run_record import RunOrigin
from beam_s3box.engine.run_totals import RunInput
from beam_s3box.formats import Format, JsonText
from beam_s3box.formats.deflate import LEVEL
from beam_s3box.shards.limits import Limits, StreamLimits

MASK: Final = "***"

_SECRET_NAME: Final = re.compile(
    r"secret|password|passwd|passphrase|token|credential|connection_string|access_key|api_?key|private_?key|jaas",
    re.IGNORECASE,
)
"""Names of options that are left out, whatever their value is."""

_SECRET_PAIR: Final = re.compile(
    rf"(?P<name>[\w.-]*(?:{_SECRET_NAME.pattern})[\w.-]*\s*[=:]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
    re.IGNORECASE,
)
"""Such a name and its value within a text, as in `sasl.password=x`."""

_USER_OF_URL: Final = re.compile(r"(?<=://)(?P<user>[^/@:\s]*):[^/@\s]*@")
_QUERY_OF_URL: Final = re.compile(r"(?P<url>https?://[^\s?]+)\?[^\s\"']+")
_NOTIFY: Final = "notify"
_WEB_ADDRESS: Final = re.compile(r"^(?P<host>https?://[^/?\s]+).*$", re.DOTALL)
"""The path of such an address is often all that protects it."""

_MAX_CHARACTERS: Final = 2_000
"""Of one value."""

_SECRET_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "REDSHIFT_PASSWORD")
"""Their values are hidden wherever they appear."""


def origin_of(
    kind: str,
    spec: WriteSpec,
    *,
    runner: str = "",
    job_name: str = "",
    options: Mapping[str, Any] | None = None,
    input: RunInput | None = None,
    parent: str | None = None,
) -> RunOrigin:
    """Return what the record says of who writes a run.

    Args:
      kind: one of `beam_s3box.engine.run_record.KINDS`.
      spec: of the write.
      runner: of the pipeline.
      job_name: of the pipeline.
      options: of the command, by name; secrets among them are left out.
      input: what is known of the input before the run.
      parent: the id of the run that this one writes again.
    """
    from beam_s3box import __version__

    settings = without_secrets(options or {}) | settings_of(spec)
    return RunOrigin(
        kind=kind,
        version=__version__,
        runner=runner,
        job_name=job_name,
        settings=settings,
        input=input,
        parent=parent,
    )


def settings_of(spec: WriteSpec) -> dict[str, Any]:
    """Return what the user chose for a write; functions by their names."""
    selector, manifests = spec.selector, spec.resolved_manifests
    values = {
        "domain": selector.domain,
        "namespace": selector.namespace,
        "domain_field": selector.domain_field,
        "namespace_field": selector.namespace_field,
        "stream": selector.stream,
        "format": spec.format.name,
        "compression_level": _level_of(spec.format),
        "manifest_scope": manifests.per if manifests else None,
        "manifest_count": manifests.count if manifests else None,
        "limits": _limits(spec.limits),
        "on_bad_record": spec.on_bad_record,
        "max_dead_letters": str(spec.dead_letter_limit),
        "max_record_bytes": spec.rules.max_bytes,
        "long_values": spec.long_values,
        "key_template": spec.key_template,
    }
    return without_secrets(values)


def _level_of(format: Format) -> int | None:
    """Return the compression level that was chosen, None for the usual one."""
    return format.compression_level if isinstance(format, JsonText) and format.compression_level != LEVEL else None


def _limits(limits: Limits) -> Any:
    """Return limits by pattern, as a file of limits has them."""
    if isinstance(limits, StreamLimits):
        limits = {"*": limits}
    if not isinstance(limits, Mapping):
        return limits
    return {pattern: dataclasses.asdict(one) for pattern, one in limits.items()}


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON has them: without those that are not set, and without secrets.

    What is named as a secret is left out. In other values the password of a URL, the query of a web address, what
    follows such a name (`sasl.password=x`) and the values of the variables that hold keys and passwords are `***`.
    """
    hidden = [value for name in _SECRET_VARIABLES if len(value := os.environ.get(name, "")) > 3]
    hidden += [str(value) for name, value in values.items() if _SECRET_NAME.search(name) and len(str(value)) > 3]
    return {
        name: _WEB_ADDRESS.sub(rf"\g<host>/{MASK}", str(value)) if name == _NOTIFY else _plain(value, hidden)
        for name, value in values.items()
        if value is not None and value != [] and not _SECRET_NAME.search(name)
    }


def masked(text: str, hidden: Collection[str] = ()) -> str:
    """Return a text without secrets, see `without_secrets`.

    Args:
      text: any.
      hidden: secrets that are known.
    """
    for secret in hidden:
        text = text.replace(secret, MASK)
    text = _USER_OF_URL.sub(rf"\g<user>:{MASK}@", text)
    text = _QUERY_OF_URL.sub(rf"\g<url>?{MASK}", text)
    return _SECRET_PAIR.sub(rf"\g<name>{MASK}", text)


def _plain(value: Any, hidden: Collection[str]) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {
            str(name): MASK if _SECRET_NAME.search(str(name)) else _plain(inner, hidden)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, hidden) for inner in value]
    if callable(value) and not isinstance(value, type):
        value = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    text = masked(str(value).encode("utf-8", "backslashreplace").decode("utf-8"), hidden)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"
