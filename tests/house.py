"""The house rules as functions: each takes source text, and gives complaints."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MODULE_LINES = 300
FUNCTION_LINES = 40
STORE_LINES = 400

DRIVERS = {"redis", "valkey", "psycopg", "psycopg_pool", "sqlite3", "sqlalchemy", "alembic"}
SHOWING = {"click", "rich"}
UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
UNSAFE_CALLS = {"eval", "exec"}

WAIST: Mapping[str, set[str]] = {
    "errors": set(),
    "record": {"errors"},
    "clock": {"errors"},
    "url": {"errors"},
    "store": {"record"},
    "foreign": {"record"},
}
"""The rooms at the bottom, and those that each may import."""

BOUNDARY = {*WAIST, "extras", "backends"}
"""What a store may know of goscheds: the values and the protocol, and nothing of the core's reasons."""

MODEL = "goscheds.backends.memory"
COMPARING = {"contract", "testing"}
"""Rooms that may import the memory store, which is the model that the others are compared with."""

LEFTOVERS = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b|^[<>]{7} ")
REGISTRIES = re.compile(r"\b(?:pypi|pythonhosted|npmjs|crates|rubygems|jsdelivr|unpkg)\.(?:org|io|com|net)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.~}])/(?:root|home|Users|work|workspace|opt|mnt)/")


@dataclass(frozen=True)
class Module:
    """A module of goscheds, by its dotted name."""

    name: str
    source: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def room(self) -> str:
        """The part of goscheds that the module belongs to: ``backends`` for ``goscheds.backends.memory.books``."""
        return _room(self.name)

    def imports(self) -> set[str]:
        """Every module that it imports, at whatever depth, by absolute name; names of members among them."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        return found


def modules(folder: Path) -> dict[str, Module]:
    """The modules under ``folder`` (the package itself), by dotted name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        name = ".".join((folder.name, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        found[name] = Module(name, path.read_text(encoding="utf-8"))
    return found


def long_modules(module: Module) -> Iterator[str]:
    lines = module.source.count("\n")
    if lines >= MODULE_LINES:
        yield f"{module.name} has {lines} lines; a module has fewer than {MODULE_LINES}"


def long_functions(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _span(node) - (_span(node.body[0]) if ast.get_docstring(node) is not None else 0)
            if lines >= FUNCTION_LINES:
                yield f"{module.name}.{node.name} has {lines} lines; a function has fewer than {FUNCTION_LINES}"


def relative_imports(module: Module) -> Iterator[str]:
    if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(module.tree)):
        yield f"{module.name} imports relatively, which hides which room it imports"


def foreign_drivers(module: Module) -> Iterator[str]:
    for name in sorted(module.imports()):
        if name.split(".")[0] in DRIVERS and module.room != "backends":
            yield f"{module.name} imports {name}; only goscheds.backends imports a driver"


def showing(module: Module) -> Iterator[str]:
    for name in sorted(module.imports()):
        if name.split(".")[0] in SHOWING and module.room != "cli":
            yield f"{module.name} imports {name}; only goscheds.cli shows anything"


def layers(module: Module) -> Iterator[str]:
    names = {name for name in module.imports() if name.startswith("goscheds.")}
    if module.room in COMPARING:
        names = {name for name in names if not name.startswith(MODEL)}
    rooms = {_room(name) for name in names} - {module.room}
    if module.room in WAIST:
        allowed = WAIST[module.room]
    elif module.room == "backends":
        allowed = BOUNDARY
    elif module.room == "plugins":  # it imports the built-in stores, each when its scheme is asked for
        allowed = rooms
    else:
        allowed = rooms - {"backends"}
    for room in sorted(rooms - allowed):
        yield f"{module.name} imports goscheds.{room}; it may import {', '.join(sorted(allowed)) or 'nothing'}"


def unsafe(module: Module) -> Iterator[str]:
    for name in sorted(module.imports()):
        if name.split(".")[0] in UNSAFE:
            yield f"{module.name} imports {name}, which runs what it reads"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            yield f"{module.name}:{node.lineno} calls {node.func.id}"


def stubs(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield f"{module.name}:{node.lineno} is a stub"


def unexplained_exceptions(module: Module) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        silences = token.type == tokenize.COMMENT and "noqa" in token.string
        if silences and not re.search(r"noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \S", token.string):
            yield f"{module.name}:{token.start[0]} silences a rule without its code and its reason"


def large_stores(all_modules: Mapping[str, Module], start: str, others: Iterable[str] = ()) -> Iterator[str]:
    """A store is its own modules, or a family's: what several stores share is counted once, under the same bound."""
    store = backend_modules(all_modules, start)
    shared = store & set().union(*(backend_modules(all_modules, other) for other in others if other != start))
    for what, modules in ((f"the store {start}", store - shared), (f"what {start} shares with others", shared)):
        lines = sum(code_lines(all_modules[name].source) for name in modules)
        if lines >= STORE_LINES:
            yield f"{what} has {lines} lines of Python over {len(modules)} modules; a store has < {STORE_LINES}"


def backend_modules(all_modules: Mapping[str, Module], start: str) -> set[str]:
    """The module that a store's factory imports, and all of goscheds.backends that this one comes to import."""
    store, found = set(), {start}
    while found:
        store |= found
        reached = set().union(*(all_modules[name].imports() for name in found))
        found = {name for name in reached if name.startswith("goscheds.backends.") and name in all_modules} - store
    return store


def built_in_stores(plugins: Module) -> list[str]:
    """The modules that the factories of the built-in stores import."""
    return sorted(name for name in plugins.imports() if name.startswith("goscheds.backends.") and "connect" not in name)


def leftovers(path: str, text: str) -> Iterator[str]:
    yield from _found(LEFTOVERS, path, text, "is left over")


def registries(path: str, text: str) -> Iterator[str]:
    yield from _found(REGISTRIES, path, text, "names a package registry's host")


def machine_paths(path: str, text: str) -> Iterator[str]:
    yield from _found(MACHINE_PATHS, path, text, "is a path of one machine")


@functools.cache
def code_lines(source: str) -> int:
    """Lines with code on them: no blank ones, comments or docstrings."""
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        told = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if told and ast.get_docstring(node) is not None:
            lines -= {*range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}
    return len(lines)


def _found(pattern: re.Pattern[str], path: str, text: str, complaint: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for match in pattern.finditer(line):
            yield f"{path}:{number} {match[0]!r} {complaint}"


def _room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
