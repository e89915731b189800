"""What a loaded function does, as text: its syntax tree when the source on disk is the one loaded, else its bytecode.

``inspect`` reads the file as it is now, which may not be what was imported. Here a piece of source counts only when
compiling it gives the very code object that is loaded.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import linecache
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

_NOT_MEANING = {"ctx", "kind", "type_comment", "type_ignores", "annotation", "returns", "type_params", "simple"}
_JUMPS = {*dis.hasjrel, *dis.hasjabs}


@dataclass(frozen=True, slots=True)
class Body:
    """A code object's meaning and what it reaches.

    Attributes:
        digest: Hash of the syntax tree, or of the bytecode when ``text`` is not the source.
        bytecode: Hash of its name and bytecode without positions; the same whether or not there is a source.
        text: Source text, or a bytecode listing when there is no source.
        names: Global names it loads.
        attributes: Attribute names it mentions.
        imports: ``(module, level)`` of imports inside the body.
    """

    digest: str
    bytecode: str
    text: str
    names: tuple[str, ...]
    attributes: frozenset[str]
    imports: tuple[tuple[str, int], ...]


@dataclass
class Bodies:
    """Look up bodies of code objects, each worked out once.

    Attributes:
        known: The syntax hash and text that a piece of bytecode had when its source was at hand, so that a function
            whose file has changed since, or that was loaded from the store, keeps its identity.
        stored: Whether the code objects come from the store: their files are not looked at.
    """

    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    stored: bool = False
    _of: OrderedDict[int, tuple[CodeType, Body]] = field(default_factory=OrderedDict)
    _files: dict[str, tuple[str, _File]] = field(default_factory=dict)

    def of(self, code: CodeType, file_globals: Mapping[str, Any]) -> Body:
        """Return the body of a code object that was loaded with these module globals."""
        found = self._of.get(id(code))
        if found is not None and found[0] is code:
            return found[1]
        body = self._read(code, file_globals)
        self._of[id(code)] = (code, body)
        if len(self._of) > 4096:
            self._of.popitem(last=False)
        return body

    def adopt(self, other: Bodies) -> None:
        """Take over the bodies another instance worked out."""
        self._of.update(other._of)

    def forget(self) -> None:
        """Drop the bodies that were worked out without a source, so that they are looked up again."""
        for identity, (_, body) in list(self._of.items()):
            if body.digest.startswith("bytecode "):
                del self._of[identity]

    def _read(self, code: CodeType, file_globals: Mapping[str, Any]) -> Body:
        listing = "\n".join(_listing(code))
        bytecode = _sha(f"{code.co_qualname}\n{listing}")
        source = None if self.stored else self._source(code, file_globals)
        if source is not None:
            self.known.setdefault(bytecode, source)
        blind = f"# bytecode of {code.co_qualname}; its source is not at hand\n{listing}"
        digest, text = source or self.known.get(bytecode) or (f"bytecode {_sha(listing)}", blind)
        nested = list(_nested(code))
        return Body(
            digest=digest,
            bytecode=bytecode,
            text=text,
            names=tuple(sorted({name for each in nested for name in _global_names(each)})),
            attributes=frozenset(name for each in nested for name in each.co_names),
            imports=tuple(sorted({found for each in nested for found in _imports(each)})),
        )

    def _source(self, code: CodeType, file_globals: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return (syntax hash, text) from the file as it is now, or as it was when last read, if either matches."""
        remembered = linecache.cache.get(code.co_filename)
        before = "".join(remembered[2]) if remembered is not None and len(remembered) == 4 else ""
        linecache.checkcache(code.co_filename)
        now = "".join(linecache.getlines(code.co_filename, dict(file_globals)))
        for text in dict.fromkeys(each for each in (now, before) if each):
            node = self._file(code.co_filename, text).node(code)
            if node is not None:
                return _sha(_root_dump(node)), _segment(text, node)
        return None

    def _file(self, filename: str, text: str) -> _File:
        held = self._files.get(filename)
        if held is None or held[0] != text:
            held = (text, _File.of(filename, text))
            self._files[filename] = held
        return held[1]


@dataclass(frozen=True, slots=True)
class _File:
    exact: Mapping[CodeType, ast.AST]
    by_name: Mapping[str, tuple[tuple[CodeType, ast.AST], ...]]

    @classmethod
    def of(cls, filename: str, text: str) -> _File:
        try:
            tree = ast.parse(text, filename)
            module = compile(text, filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return cls({}, {})
        nodes: dict[tuple[str, int], list[ast.AST]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Lambda):
                nodes.setdefault(("<lambda>", node.lineno), []).append(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
                nodes.setdefault((node.name, first), []).append(node)
        exact: dict[CodeType, ast.AST] = {}
        by_name: dict[str, list[tuple[CodeType, ast.AST]]] = {}
        for code in _nested(module):
            found = _placed(code, nodes.get((code.co_name, code.co_firstlineno), []))
            if found is not None:
                exact[code] = found
                by_name.setdefault(code.co_qualname, []).append((code, found))
        return cls(exact, {name: tuple(found) for name, found in by_name.items()})

    def node(self, code: CodeType) -> ast.AST | None:
        found = self.exact.get(code)
        if found is None:  # the file may have moved the function up or down
            wanted = None
            for candidate, node in self.by_name.get(code.co_qualname, ()):
                wanted = wanted or list(_listing(code))
                if list(_listing(candidate)) == wanted:
                    return node
        return found


def _placed(code: CodeType, candidates: list[ast.AST]) -> ast.AST | None:
    """Choose among functions that start on one line by where the code stands in it."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    places = [(line, column) for line, _, column, _ in code.co_positions() if line and column is not None]
    inner = places[1:] or places  # the first instruction stands for the whole scope
    fitting = [
        node
        for node in candidates
        if isinstance(node, ast.Lambda)
        and all((node.body.lineno, node.body.col_offset) <= place <= _end(node.body) for place in inner)
    ]
    return min(fitting, key=lambda node: _span(node), default=None)


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _span(node: ast.Lambda) -> tuple[int, int]:
    end = _end(node)
    return end[0] - node.lineno, end[1] - node.col_offset


def _segment(text: str, node: ast.AST) -> str:
    lines = text.splitlines(keepends=True)
    if isinstance(node, ast.Lambda):
        return ast.get_source_segment(text, node) or ""
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    chosen = lines[first - 1 : node.end_lineno]
    indent = min((len(line) - len(line.lstrip()) for line in chosen if line.strip()), default=0)
    return "".join(line[indent:] if line.strip() else line for line in chosen)


def _root_dump(node: ast.AST) -> str:
    """Dump a function without its own name, decorators and defaults: they are part of what surrounds it."""
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    names = [[arg.arg for arg in group] for group in (node.args.posonlyargs, node.args.args, node.args.kwonlyargs)]
    stars = [arg.arg if arg else "" for arg in (node.args.vararg, node.args.kwarg)]
    body = _dump(node.body) if isinstance(node, ast.Lambda) else ",".join(_statements(node.body))
    return f"{type(node).__name__} {names} {stars} [{body}]"


def _dump(value: Any) -> str:
    """Write a tree without positions, annotations, docstrings and empty fields (those differ between Pythons)."""
    if isinstance(value, ast.AnnAssign) and value.value is not None:
        value = ast.Assign(targets=[value.target], value=value.value)
    if isinstance(value, ast.AST):
        fields = []
        for name in value._fields:
            item = getattr(value, name, None)
            if name in _NOT_MEANING or item is None or item == []:
                continue
            if name == "body" and isinstance(value, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                fields.append(f"{name}=[{','.join(_statements(item))}]")
            else:
                fields.append(f"{name}={_dump(item)}")
        return f"{type(value).__name__}({','.join(fields)})"
    if isinstance(value, list):
        return f"[{','.join(_dump(item) for item in value)}]"
    return f"{type(value).__name__}:{value!r}"


def _statements(body: list[ast.stmt]) -> Iterator[str]:
    for index, statement in enumerate(body):
        text = statement.value if isinstance(statement, ast.Expr) else None
        if not (index == 0 and isinstance(text, ast.Constant) and isinstance(text.value, str)):
            yield _dump(statement)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _global_names(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval


def _imports(code: CodeType) -> Iterator[tuple[str, int]]:
    before: list[Any] = [0, 0]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield instruction.argval, before[-2] if isinstance(before[-2], int) else 0
        before.append(instruction.argval)


def _listing(code: CodeType) -> Iterator[str]:
    """Write bytecode without positions and without the docstring, nested code in place."""
    yield f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags} {code.co_varnames}"
    yield f"{code.co_freevars} {code.co_cellvars}"
    for entry in dis.get_instructions(code):
        if entry.opcode in _JUMPS:
            yield f"{entry.opname} -> {entry.argval}"
        elif isinstance(entry.argval, CodeType):
            yield entry.opname
            yield from (f"  {line}" for line in _listing(entry.argval))
        elif isinstance(entry.argval, frozenset):
            yield f"{entry.opname} {sorted(map(repr, entry.argval))}"
        else:
            yield f"{entry.opname} {type(entry.argval).__name__} {entry.argval!r}"
    for row in _exception_table(code):
        yield f"except {row}"


def _exception_table(code: CodeType) -> list[str]:
    table = getattr(code, "co_exceptiontable", b"")
    return [table.hex()] if table else []


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
