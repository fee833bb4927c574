"""What lets a shell complete commands, options and the values of options that have few; files otherwise."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from beam_s3box.cli.options.parser import CommandParser

_BASH: Final = """\
_s3box() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    # bash makes three words of --name=value
    if [[ "$word" == "=" ]]; then word=""; elif [[ "$before" == "=" ]]; then before="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    if (( COMP_CWORD == 1 )); then
        words="{commands}"
    else
        case "${{COMP_WORDS[1]}} $before" in
{values}
            *) case "${{COMP_WORDS[1]}}" in
{options}
            esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _s3box s3box"""

_ZSH: Final = "autoload -U +X bashcompinit && bashcompinit"
"""Lets zsh take completions of bash."""


def render_completion(shell: str, parsers: Mapping[str, CommandParser], others: Mapping[str, str]) -> str:
    """Return the completion for a shell.

    Args:
      shell: one of `SHELLS`.
      parsers: of the commands, by name.
      others: commands that take names of commands or of shells, in words.
    """
    return SHELLS[shell](parsers, others)


def _bash(parsers: Mapping[str, CommandParser], others: Mapping[str, str]) -> str:
    words = {name: " ".join(parser.names) for name, parser in parsers.items()}
    words |= {name: " ".join(_words_after(name, parsers)) for name in others}
    values = [
        f'            "{name} {option}") words="{" ".join(choices)}" ;;'
        for name, parser in parsers.items()
        for option, choices in _choices(parser.actions)
    ]
    options = [f'                {name}) words="{text}" ;;' for name, text in words.items()]
    return _BASH.format(commands=" ".join(words), values="\n".join(values), options="\n".join(options))


def _zsh(parsers: Mapping[str, CommandParser], others: Mapping[str, str]) -> str:
    return f"{_ZSH}\n{_bash(parsers, others)}"


def _fish(parsers: Mapping[str, CommandParser], others: Mapping[str, str]) -> str:
    lines = [f"complete -c s3box -n __fish_use_subcommand -f -a '{' '.join([*parsers, *others])}'"]
    for name, parser in parsers.items():
        choices = dict(_choices(parser.actions))
        for option in parser.names:
            if option.startswith("--"):
                known = f" -x -a '{' '.join(choices[option])}'" if option in choices else ""
                lines.append(f"complete -c s3box -n '__fish_seen_subcommand_from {name}' -l {option[2:]}{known}")
    for name in others:
        words = " ".join(_words_after(name, parsers))
        lines.append(f"complete -c s3box -n '__fish_seen_subcommand_from {name}' -f -a '{words}'")
    return "\n".join(lines)


def _choices(actions: list[argparse.Action]) -> Iterator[tuple[str, list[str]]]:
    for action in actions:
        if action.choices:
            for option in action.option_strings:
                yield option, [str(choice) for choice in action.choices]


def _words_after(name: str, parsers: Mapping[str, CommandParser]) -> list[str]:
    return list(SHELLS) if name == "completion" else list(parsers)


SHELLS: Final[dict[str, Callable[[Mapping[str, CommandParser], Mapping[str, str]], str]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
"""Those that can be completed."""
