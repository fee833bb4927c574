"""Faults that the package had, put back for one test."""

from __future__ import annotations
import __future__ as features

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple


class PutBack(NamedTuple):
    """A text of a function in the place of another.

    Attributes:
      owner: the class or module of the function.
      name: of the function.
      old: a text that occurs there once.
      new: what takes its place.
      signs: words of which what then breaks has one.
    """

    owner: Any
    name: str
    old: str
    new: str
    signs: tuple[str, ...]

    def function(self) -> Callable[..., Any]:
        """Return the function with the fault."""
        function = getattr(self.owner, self.name)
        source, line = inspect.getsource(function), function.__code__.co_firstlineno
        assert source.count(self.old) == 1, f"change this fault with the code: {self.old!r}"
        text = "\n" * (line - 1) + textwrap.dedent(source.replace(self.old, self.new))  # lines keep their numbers
        names: dict[str, Any] = {}
        flags = features.annotations.compiler_flag
        exec(compile(text, inspect.getfile(function), "exec", flags), function.__globals__, names)
        found: Callable[..., Any] = names[self.name]
        return found
