"""Beam that remembers what it finds by introspection: building and running a small pipeline is mostly that.

Of each DoFn it asks the signatures of all methods, hundreds of times a pipeline; and each look at the options of a pipeline
builds a parser of the command line. Neither changes while tests run.
"""

from __future__ import annotations

import argparse
import copy
import functools
import types
import weakref
from collections.abc import Callable
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

Signature = tuple[list[str], list[Any]]


def remember_signatures() -> None:
    """Ask for the arguments of a method once for each function."""
    ask: Callable[[Any], Signature] = core.get_function_args_defaults
    known: weakref.WeakKeyDictionary[types.FunctionType, Signature] = weakref.WeakKeyDictionary()

    def get_function_args_defaults(f: Any) -> Signature:
        function = f.__func__ if isinstance(f, types.MethodType) else None
        if not isinstance(function, types.FunctionType):
            return ask(f)
        if function not in known:
            known[function] = ask(f)
        names, defaults = known[function]
        return list(names), list(defaults)

    core.get_function_args_defaults = get_function_args_defaults


def remember_options() -> None:
    """Parse the same flags once for each of Beam's own classes of options."""
    parse: Callable[..., None] = PipelineOptions.__init__
    known: dict[tuple[type, tuple[str, ...]], dict[str, Any]] = {}

    def init(self: Any, flags: Any = None, **kwargs: Any) -> None:
        kind = type(self)
        if not (isinstance(flags, list | tuple) and kind.__module__.startswith("apache_beam.")):
            parse(self, flags, **kwargs)
            return
        key = kind, tuple(flags)
        if key not in known:
            parse(self, flags, **kwargs)
            known[key] = copy.deepcopy(vars(self._visible_options))
            return
        self._flags = flags
        self._visible_options = argparse.Namespace(**copy.deepcopy(known[key]))
        self._all_options = kwargs
        for name in self._visible_option_list():
            kwargs.setdefault(name, getattr(self._visible_options, name))

    PipelineOptions.__init__ = init


@functools.cache
def quicken() -> None:
    """Let this process remember both."""
    remember_signatures()
    remember_options()
