"""The meaning of a Python object as one hash: functions by their code and what it reaches, values by content."""

from __future__ import annotations

import copyreg
import datetime
import enum
import functools
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import types
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from headwater.adapters.code_text import Bodies
from headwater.core.errors import DataError
from headwater.core.project import Project

_LEAVES = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range,
           datetime.date, datetime.timedelta)  # fmt: skip
_CLASS_NOISE = {
    "__module__", "__dict__", "__weakref__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__",
    "__match_args__", "__parameters__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__slotnames__",
}  # fmt: skip
_LARGE_FRAME = 100_000
_LIBRARY_FOLDERS = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


@functools.cache
def is_project(name: str | None, file: str | None) -> bool:
    """Tell whether a module is the project's own: not the standard library's, an installed package's or Headwater's."""
    if name is None or name == "__main__":
        return True
    top = name.partition(".")[0]
    if top == "headwater" or top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return False
    if file is None:
        return False
    if file.startswith("<"):
        return True
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _LIBRARY_FOLDERS)


def is_project_module(module: types.ModuleType) -> bool:
    """Tell whether a module object is the project's own."""
    return is_project(module.__name__, getattr(module, "__file__", None))


def is_project_function(function: types.FunctionType) -> bool:
    """Tell whether a function was written in the project, whatever a decorator wrote into its ``__module__``."""
    scope = function.__globals__
    return is_project(scope.get("__name__"), scope.get("__file__") or function.__code__.co_filename)


def is_project_class(cls: type) -> bool:
    """Tell whether a class was defined in the project."""
    module = sys.modules.get(cls.__module__)
    return True if module is None else is_project_module(module)


def is_dispatch(function: types.FunctionType) -> bool:
    """Tell whether a function was made by `functools.singledispatch`."""
    return function.__globals__ is vars(functools) and hasattr(function, "registry")


@dataclass
class Reached:
    """What was met on the way through an object.

    Attributes:
        texts: Source of each function and class, and plain constants, by name, in the order met.
        bodies: Syntax hash and text of each function by its bytecode hash.
        modules: Project modules used as objects, with the attributes used of them.
        imports: Absolute names of project modules imported inside function bodies.
        opaque: Types of the values that have no content to hash; those cannot be stored either.
    """

    texts: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, tuple[str, str]] = field(default_factory=dict)
    modules: dict[str, set[str]] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)


class Fingerprint:
    """Hash objects by meaning. One instance serves many objects and remembers the bodies of their code.

    Followed: the globals a function loads (functions, classes, constants of project modules), attributes of project
    modules it mentions, closure cells, defaults, the state of objects. Not followed: installed packages and the
    standard library, which count by name. What is looked up by a computed name (``globals()[name]``) is not seen.
    """

    def __init__(self, bodies: Bodies | None = None) -> None:
        self.bodies = bodies or Bodies()
        self._frames: dict[int, tuple[weakref.ref[Any], str]] = {}

    def of(self, value: Any) -> tuple[str, Reached]:
        """Return the hash of an object and what was met on the way."""
        walk = _Walk(self)
        return walk.digest(value, root=True), walk.reached

    def frame(self, frame: Any) -> str:
        """Hash a Polars frame or series by content; a large one is taken as immutable and hashed once."""
        held = self._frames.get(id(frame))
        if held is not None and held[0]() is frame:
            return held[1]
        from headwater.stats.frames.content import content_hash

        found = content_hash(frame.to_frame() if len(frame.shape) == 1 else frame)
        size = frame.shape[0] * (frame.shape[1] if len(frame.shape) > 1 else 1)
        if size >= _LARGE_FRAME:
            self._frames[id(frame)] = (weakref.ref(frame), found)
        return found


class _Walk:
    """One traversal.

    A part that refers back to what encloses it is written as the distance to it, so that equal structures have equal
    hashes wherever they are met, and only parts without such a reference are remembered.
    """

    def __init__(self, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint
        self.reached = Reached()
        self._stack: dict[int, int] = {}
        self._done: dict[int, tuple[Any, str]] = {}
        self._lowest = sys.maxsize
        self._folders: dict[Path, None] = {}

    def digest(self, value: Any, *, root: bool = False) -> str:
        if isinstance(value, _LEAVES) and type(value) in _LEAVES:
            return f"{type(value).__name__}:{value!r}" if not isinstance(value, (str, bytes)) else _leaf(value)
        identity = id(value)
        if identity in self._stack:
            self._lowest = min(self._lowest, self._stack[identity])
            return f"up {len(self._stack) - self._stack[identity]}"
        if identity in self._done:
            return self._done[identity][1]
        depth = len(self._stack)
        outer, self._lowest = self._lowest, sys.maxsize
        self._stack[identity] = depth
        sha = hashlib.sha256()
        try:
            for piece in self._pieces(value, root):
                sha.update(piece.encode("utf-8", "surrogatepass") + b"\0")
        finally:
            del self._stack[identity]
        found = sha.hexdigest()
        if self._lowest >= depth:
            self._done[identity] = (value, found)
        self._lowest = min(outer, self._lowest if self._lowest < depth else sys.maxsize)
        return found

    def _pieces(self, value: Any, root: bool) -> Iterator[str]:
        kind = type(value)
        if kind in (list, tuple):
            yield kind.__name__
            yield from (self.digest(item) for item in value)
        elif kind is dict:
            yield "dict"
            for key, item in value.items():
                yield self.digest(key)
                yield self.digest(item)
        elif kind in (set, frozenset):
            yield kind.__name__
            yield from sorted(self.digest(item) for item in value)
        elif isinstance(value, types.FunctionType):
            yield from self._function(value, root)
        elif isinstance(value, type):
            yield from self._class(value)
        elif isinstance(value, types.ModuleType):
            yield f"module {value.__name__}"
        elif isinstance(value, types.CodeType):
            yield from self._code(value, {}, value.co_qualname)
        else:
            yield from self._object(value)

    def _function(self, function: types.FunctionType, root: bool) -> Iterator[str]:
        scope = function.__globals__
        own = is_project_function(function)
        if not own and not root and _importable(function):
            yield f"function {scope['__name__']}.{function.__qualname__}"
            return
        if is_dispatch(function):  # it keeps a cache beside what it means
            yield "singledispatch"
            registry: Mapping[type, Any] = function.registry  # type: ignore[attr-defined]
            yield from sorted(self.digest((kind, item)) for kind, item in registry.items())
            return
        yield "function"
        if own and scope.get("__file__"):
            self._folders[Path(scope["__file__"]).parent] = None
        yield from self._code(function.__code__, scope, function.__qualname__)
        body = self.fingerprint.bodies.of(function.__code__, scope)
        yield self.digest(function.__defaults__)
        yield self.digest(function.__kwdefaults__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            yield f"cell {name}"
            try:
                content = cell.cell_contents
            except ValueError:
                yield "empty"
                continue
            if isinstance(content, types.ModuleType):
                yield from self._module(content, body.attributes)
            else:
                self._note(f"{function.__qualname__}:{name}", content)
                yield self.digest(content)
        for name, item in sorted(function.__dict__.items()):
            if name not in ("__wrapped__", "__isabstractmethod__"):
                yield f"attribute {name}"
                yield self.digest(item)
        for name in body.names:
            yield from self._global(name, scope, body.attributes, own)
        for name, level in body.imports:
            yield from self._import(function, name, level, body.attributes)

    def _code(self, code: types.CodeType, scope: Mapping[str, Any], name: str) -> Iterator[str]:
        body = self.fingerprint.bodies.of(code, scope)
        self.reached.bodies[body.bytecode] = (body.digest, body.text)
        self.reached.texts.setdefault(f"{name}#{body.bytecode[:12]}", body.text)
        yield body.digest

    def _global(self, name: str, scope: Mapping[str, Any], attributes: frozenset[str], own: bool) -> Iterator[str]:
        yield f"global {name}"
        if name not in scope:
            yield "builtin"
            return
        value = scope[name]
        if isinstance(value, types.ModuleType):
            yield from self._module(value, attributes)
        elif own or not hasattr(value, "__module__"):
            self._note(name, value)
            yield self.digest(value)
        else:  # Headwater's own wrappers count by name what they use of Headwater
            yield f"{value.__module__}.{name}"

    def _module(self, module: types.ModuleType, attributes: frozenset[str]) -> Iterator[str]:
        yield f"module {module.__name__}"
        if not is_project_module(module):
            return
        used = self.reached.modules.setdefault(module.__name__, set())
        for name in sorted(attributes & set(vars(module))):
            if name.startswith("__"):
                continue
            used.add(name)
            value = vars(module)[name]
            yield f"of {name}"
            if isinstance(value, types.ModuleType):
                yield from self._module(value, attributes - {name})
            else:
                self._note(f"{module.__name__}.{name}", value)
                yield self.digest(value)

    def _import(self, function: types.FunctionType, name: str, level: int, attributes: frozenset[str]) -> Iterator[str]:
        """Follow an import statement inside a function, but only to the project's own modules."""
        absolute = absolute_name(name, level, function.__globals__.get("__package__") or "")
        scope = getattr(function, "__builtins__", {})  # its own when it was loaded from the store
        captured = getattr(scope.get("__import__"), "captured", {})
        if absolute not in captured and not _imports_project(absolute):
            return
        parts = absolute.split(".")
        for end in range(1, len(parts) + 1):
            prefix = ".".join(parts[:end])
            module = captured.get(prefix) or sys.modules.get(prefix)
            self.reached.imports.add(prefix)
            if module is not None:
                yield from self._module(module, attributes | set(parts))

    def _class(self, cls: type) -> Iterator[str]:
        if not is_project_class(cls):
            yield f"class {cls.__module__}.{cls.__qualname__}"
            return
        yield f"class {cls.__qualname__}"
        bases = ", ".join(base.__qualname__ for base in cls.__bases__ if base is not object)
        self.reached.texts.setdefault(f"class {cls.__qualname__}", f"class {cls.__qualname__}({bases}):")
        yield from (self.digest(base) for base in cls.__bases__)
        if issubclass(cls, enum.Enum):
            for member in cls.__members__.values():
                yield f"member {member.name}"
                yield self.digest(member.value)
        for name, item in sorted(vars(cls).items()):
            if name in _CLASS_NOISE or (issubclass(cls, enum.Enum) and not isinstance(item, types.FunctionType)):
                continue
            if isinstance(item, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                continue
            yield f"has {name}"
            self._note(f"{cls.__qualname__}.{name}", item)
            yield self.digest(item)

    def _object(self, value: Any) -> Iterator[str]:
        cls = type(value)
        if isinstance(value, Project):  # a function that mentions its project does not depend on all of its functions
            yield f"project {value.name} {value.every} {value.timezone} {value.holidays}"
        elif isinstance(value, PurePath):
            yield f"path {self._placed(value)}"
        elif isinstance(value, functools.partial):
            yield "partial"
            yield from (self.digest(item) for item in (value.func, value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            yield "method"
            yield self.digest(value.__func__)
            yield self.digest(value.__self__)
        elif isinstance(value, (staticmethod, classmethod)):
            yield cls.__name__
            yield self.digest(value.__func__)
        elif isinstance(value, property):
            yield "property"
            yield from (self.digest(item) for item in (value.fget, value.fset, value.fdel))
        elif isinstance(value, functools.cached_property):
            yield "cached_property"
            yield self.digest(value.func)
        elif isinstance(value, functools._lru_cache_wrapper):
            yield "cached"
            yield self.digest(value.__wrapped__)
        elif isinstance(value, types.MappingProxyType):
            yield "mapping"
            yield self.digest(dict(value))
        elif isinstance(value, types.BuiltinFunctionType):
            yield f"builtin {value.__module__}.{value.__qualname__}"
            if value.__self__ is not None and not isinstance(value.__self__, types.ModuleType):
                yield self.digest(value.__self__)
        elif cls.__module__.partition(".")[0] == "polars" and cls.__name__ in ("DataFrame", "Series"):
            yield f"polars {cls.__name__}"
            try:
                yield self.fingerprint.frame(value)
            except DataError:  # it holds Python objects
                self.reached.opaque.add("polars.Object")
        elif cls.__module__ == "numpy" and cls.__name__ == "ndarray":
            yield from self._array(value)
        else:
            yield from self._reduced(value)

    def _array(self, array: Any) -> Iterator[str]:
        yield f"array {array.shape}"
        if array.dtype.names:  # never the padding between fields: it is not content
            for name in array.dtype.names:
                yield f"field {name}"
                yield from self._array(array[name])
        elif array.dtype.hasobject:
            yield self.digest(array.tolist())
        else:
            yield array.dtype.str
            yield hashlib.sha256(array.tobytes()).hexdigest()

    def _reduced(self, value: Any) -> Iterator[str]:
        cls = type(value)
        try:
            reducer = copyreg.dispatch_table.get(cls)
            reduced = reducer(value) if reducer is not None else value.__reduce_ex__(4)
        except Exception:
            self.reached.opaque.add(f"{cls.__module__}.{cls.__qualname__}")
            yield f"opaque {cls.__module__}.{cls.__qualname__}"
            return
        if isinstance(reduced, str):
            yield f"named {cls.__module__}.{reduced}"
            return
        yield "object"
        for item in reduced[:3]:
            if isinstance(item, dict):  # what a cached property has worked out is not state
                names = [name for name in item if isinstance(_static(cls, name), functools.cached_property)]
                item = {name: each for name, each in item.items() if name not in names}
            yield self.digest(item)
        for item in reduced[3:5]:
            yield self.digest(list(item) if item is not None else None)

    def _placed(self, path: PurePath) -> str:
        """Write a path from the folder of the module that holds it, so that a workspace may be moved."""
        for folder in self._folders:
            if folder.is_absolute() and path.is_relative_to(folder):
                return f"./{path.relative_to(folder).as_posix()}"
        return path.as_posix()

    def _note(self, name: str, value: Any) -> None:
        """Keep plain constants for the text, so that a changed threshold shows in a diff."""
        if type(value) in (bool, int, float, str, tuple, list, dict, set, frozenset, type(None)):
            text = repr(sorted(value, key=repr)) if isinstance(value, (set, frozenset)) else repr(value)
            self.reached.texts.setdefault(name, f"{name} = {text if len(text) <= 500 else text[:500] + '...'}")


def _leaf(value: str | bytes) -> str:
    kind = type(value).__name__
    return f"{kind}:{value!r}" if len(value) < 64 else f"{kind}:{hashlib.sha256(repr(value).encode()).hexdigest()}"


def _importable(function: types.FunctionType) -> bool:
    """Tell whether a library's function can be named. What a library's decorator made of project code cannot."""
    found: Any = sys.modules.get(function.__globals__.get("__name__") or "")
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _static(cls: type, name: Any) -> Any:
    return next((vars(each)[name] for each in cls.__mro__ if name in vars(each)), None)


def absolute_name(name: str, level: int, package: str) -> str:
    """Return the full name of the module that an import statement in ``package`` means."""
    if not level:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def _imports_project(name: str) -> bool:
    """Tell whether a module is the project's own, importing it if it is, as running the function would."""
    try:
        if name not in sys.modules:
            top = name.partition(".")[0]
            spec = None if top in sys.stdlib_module_names else importlib.util.find_spec(top)
            if spec is None or not is_project(
                top, spec.origin or next(iter(spec.submodule_search_locations or ()), None)
            ):
                return False
            importlib.import_module(name)
    except (ImportError, ValueError):
        return False
    return is_project_module(sys.modules[name])
