"""Pickle a project's own code by value, so that it runs again after the project's files have changed."""

from __future__ import annotations

import builtins
import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Mapping
from typing import Any

import cloudpickle

from headwater.adapters.fingerprint import Fingerprint, Reached, absolute_name, is_dispatch, is_project_module
from headwater.core.project import Project

_registering = threading.Lock()


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, fingerprint: Fingerprint, modules: Mapping[str, set[str]]) -> None:
        super().__init__(file)
        self._fingerprint = fingerprint
        self._modules = modules

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.ModuleType) and is_project_module(obj):
            names = {"__file__", "__package__", *self._modules.get(obj.__name__, ())}
            used = {name: vars(obj)[name] for name in sorted(names) if name in vars(obj)}
            return types.ModuleType, (obj.__name__,), used
        if isinstance(obj, Project):
            return Project, (obj.name, obj.every, obj.timezone, obj.holidays)
        if isinstance(obj, functools._lru_cache_wrapper):
            return _cached, (obj.__wrapped__, obj.cache_parameters())
        if isinstance(obj, functools.cached_property):
            return _cached_property, (obj.func, obj.attrname)
        if isinstance(obj, types.FunctionType) and is_dispatch(obj):
            return _dispatch, (dict(obj.registry),)  # type: ignore[attr-defined]
        reduced = super().reducer_override(obj)
        if isinstance(obj, type) and isinstance(reduced, tuple) and "skeleton" in reduced[0].__name__:
            # cloudpickle tells classes apart by a random id; the class's meaning gives equal bytes for equal classes
            # and keeps an old class from being written over the live one
            arguments = (*reduced[1][:-2], self._fingerprint.of(obj)[0], reduced[1][-1])
            return (reduced[0], arguments, *reduced[2:])
        return reduced


def _cached(function: Any, parameters: Mapping[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _cached_property(function: Any, name: str) -> Any:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def _dispatch(registry: Mapping[type, Any]) -> Any:
    made = functools.singledispatch(registry[object])
    for kind, function in registry.items():
        made.register(kind, function)
    return made


def dump(value: Any, fingerprint: Fingerprint, reached: Reached) -> bytes:
    """Pickle a value with the project code that it reaches; raises what pickling raises."""
    captured = {name: sys.modules[name] for name in sorted(reached.imports) if name in sys.modules}
    return dump_plain((value, captured), fingerprint, reached)


def dump_plain(value: Any, fingerprint: Fingerprint, reached: Reached) -> bytes:
    """Pickle like `dump`, but so that ``pickle.loads`` alone reads it back (without modules imported in functions)."""
    file = io.BytesIO()
    with _registering:
        known = cloudpickle.list_registry_pickle_by_value()
        added = [
            module
            for module in {id(made): made for made in list(sys.modules.values())}.values()
            if isinstance(module, types.ModuleType) and module.__name__ not in known and is_project_module(module)
            and sys.modules.get(module.__name__) is module and module.__name__ != "__main__"
        ]  # fmt: skip
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            _Pickler(file, fingerprint, reached.modules).dump(value)
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)
    return file.getvalue()


def load(content: bytes) -> Any:
    """Unpickle what `dump` wrote. Imports inside the loaded functions find the modules as they were stored."""
    unpickler = _Unpickler(io.BytesIO(content))
    value, captured = unpickler.load()
    unpickler.imports.captured.update(captured)
    return value


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.imports = _Imports()
        self._builtins = {**vars(builtins), "__import__": self.imports}

    def find_class(self, module: str, name: str, /) -> Any:
        if module == "cloudpickle.cloudpickle" and name == "_make_function":
            return self._make_function
        return super().find_class(module, name)

    def _make_function(self, code: Any, scope: dict[str, Any], *rest: Any) -> types.FunctionType:
        scope["__builtins__"] = self._builtins
        return types.FunctionType(code, scope, *rest)


class _Imports:
    """What ``import`` means inside loaded functions: the modules as stored, then those that are there now."""

    def __init__(self) -> None:
        self.captured: dict[str, types.ModuleType] = {}

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] = (),
        level: int = 0,
    ) -> Any:
        absolute = absolute_name(name, level, (globals or {}).get("__package__") or "")
        if absolute in self.captured:
            return self.captured[absolute if fromlist else absolute.partition(".")[0]]
        return builtins.__import__(name, globals, locals, fromlist, level)
