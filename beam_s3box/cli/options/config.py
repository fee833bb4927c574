"""A file of options, for `--config job.toml`; and the options of a command as such a file."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from beam_s3box.errors import ConfigurationError

_OPTION: Final = "--config"
_SECRET: Final = re.compile(r"secret_access_key|session_token|password|connection_string|^notify$")


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        _OPTION,
        metavar="FILE.toml",
        help='options in a file, as max_records = 1000, input = ["a.jsonl", "b.jsonl"]; those on the command line take '
        "precedence, and `s3box config COMMAND` prints such a file",
    )


def expand_config(arguments: Sequence[str], actions: Iterable[argparse.Action]) -> list[str]:
    """Return the arguments with those of the file that `--config` names in front, but for options that are given.

    Args:
      arguments: options, without what follows `--`.
      actions: the options that there are.

    Raises:
      ConfigurationError: a file that can't be read, is not TOML, or has an option or a value that is none.
    """
    path, rest = _take_path(arguments)
    if path is None:
        return rest
    by_name = {name: action for action in actions for name in action.option_strings}
    given = {by_name[name].dest for name in _names_in(rest) if name in by_name}
    found = arguments_of(_read(path), by_name, path, given)
    return [*found, *rest]


def arguments_of(
    values: Mapping[str, Any], by_name: Mapping[str, argparse.Action], where: str, given: Set[str] = frozenset()
) -> list[str]:
    """Return options by name as the command line has them.

    Args:
      values: texts, numbers, truths, or lists of texts, by the names of options.
      by_name: the options that there are, as they are written.
      where: the values are, for messages.
      given: names of options that are left out.

    Raises:
      ConfigurationError: an option or a value that is none.
    """
    found: list[str] = []
    for key, value in values.items():
        action = by_name.get(f"--{key.replace('-', '_')}")
        if action is None or action.option_strings == [_OPTION]:
            raise ConfigurationError(f"{where}: {_explain(key, by_name)}")
        if action.dest not in given:
            found += _as_arguments(where, key, value, action)
    return found


def render_config(values: Mapping[str, Any]) -> str:
    """Return options as a file for `--config`; those that are not set are left out, and no secret is shown."""
    lines = []
    for name, value in sorted(values.items()):
        if value is None or value == [] or f"--{name}" == _OPTION:
            continue
        lines.append(f"# {name} is set, and not shown" if _SECRET.search(name) else f"{name} = {_render(value)}")
    return "\n".join(lines)


def _take_path(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    path: str | None = None
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, equals, value = argument.partition("=")
        if name != _OPTION:
            rest.append(argument)
            continue
        path = value if equals else next(left, None)
        if not path:
            raise ConfigurationError(f"{_OPTION}: expected one argument")
    return path, rest


def _names_in(arguments: Iterable[str]) -> Iterator[str]:
    return (argument.partition("=")[0] for argument in arguments if argument.startswith("--"))


def _read(path: str) -> dict[str, Any]:
    import tomllib  # most commands are called without a file

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise ConfigurationError(f"{_OPTION}={path!r} can't be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{_OPTION}={path!r} is not TOML: {exc}") from exc


def _explain(key: str, by_name: Mapping[str, argparse.Action]) -> str:
    from beam_s3box.cli.options.parser import explain_unknown  # it reads configurations

    return explain_unknown(f"--{key}", list(by_name), hint="see help").replace("--", "")


def _as_arguments(where: str, key: str, value: Any, action: argparse.Action) -> list[str]:
    """Return an option as the command line has it; none for a switch that is off."""
    name = action.option_strings[0]
    if isinstance(value, bool):
        if action.nargs == 0:
            return [name] if value else []
        return [f"{name}={str(value).lower()}"]
    if isinstance(value, list):
        texts = [_text(where, key, one) for one in value]
        is_repeated = isinstance(action, argparse._AppendAction)
        return [f"{name}={text}" for text in texts] if is_repeated else [f"{name}={','.join(texts)}"]
    if action.nargs == 0:
        raise ConfigurationError(f"{where}: {key}={value!r} must be true or false")
    return [f"{name}={_text(where, key, value)}"]


def _text(where: str, key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigurationError(f"{where}: {key}={value!r} must be a text, a number, true, false or a list of texts")
    return str(value)


def _render(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_render, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    # a JSON text is a TOML text, but for one character
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
