"""Faults of tools/mutants, put back into the modules of this process for a while."""

from __future__ import annotations

import contextlib
import importlib
import pathlib
import types
from collections.abc import Iterator
from typing import Any, Final

from tests.simulation import runs, stream
from tools.mutants.faults import FAULTS

_ROOT: Final = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def put_back(name: str) -> Iterator[None]:
    """Let all functions of a module be those that it has with this fault."""
    fault = next(fault for fault in FAULTS if fault.name == name)
    module = importlib.import_module(fault.file.removesuffix(".py").replace("/", "."))
    faulty = types.ModuleType(module.__name__)
    faulty.__file__ = module.__file__
    exec(compile(fault.changed(_ROOT), str(module.__file__), "exec"), vars(faulty))
    kept, changed = [], _functions(faulty)
    for path, function in _functions(module).items():
        kept.append((function, function.__code__))
        function.__code__ = changed[path].__code__
    _forget_pipelines()
    try:
        yield
    finally:
        for function, code in kept:
            function.__code__ = code
        _forget_pipelines()


def _forget_pipelines() -> None:
    stream.built.cache_clear()
    runs.built.cache_clear()


def _functions(holder: Any) -> dict[str, types.FunctionType]:
    """Return the functions of a module and of its classes, by name."""
    found: dict[str, types.FunctionType] = {}
    for value in list(vars(holder).values()):
        value = getattr(value, "__func__", value)
        if isinstance(value, types.FunctionType) and value.__module__ == holder.__name__:
            found[value.__qualname__] = value
        elif isinstance(value, type) and value.__module__ == holder.__name__ and value is not holder:
            found |= _functions_of_class(value)
    return found


def _functions_of_class(holder: type) -> dict[str, types.FunctionType]:
    functions = (getattr(value, "fget", getattr(value, "__func__", value)) for value in vars(holder).values())
    return {one.__qualname__: one for one in functions if isinstance(one, types.FunctionType)}
