"""`core/` has no I/O, no clock and no randomness: it may import only the modules of a fixed list."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules of the standard library that have no effects outside the process.
STANDARD = frozenset(
    [
        "__future__",
        "abc",
        "array",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fnmatch",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "zlib",
        "collections.abc",
        "html",
        "urllib.parse",
        "zoneinfo",
    ]
)
OUTSIDE = frozenset(
    {"holidays", "jsonschema", "msgpack", "msgspec", "numpy", "pybase64", "pydantic", "typing_extensions", "yaml"}
)
PURE_COMMON = frozenset({"wire", "base.errors", "base.fault_texts", "base.ids", "base.redaction", "base.yaml_faults"})
CLOCKS_AND_CHANCE = frozenset({"now", "utcnow", "today", "uuid1", "uuid4", "token_hex", "urandom"})
COMPILED = frozenset({"cpython.buffer", "cpython.bytes", "libc.stdint", "libc.string"})
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\S+)[ \t]+c?import|c?import[ \t]+(\S+))", re.MULTILINE)
BUILTINS_WITH_IO = frozenset({"open", "input", "print", "exec", "eval", "__import__"})


@pytest.fixture(scope="module")
def cores(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {path: tree for path, tree in modules.items() if "core" in path.parts}


def test_core_imports_nothing_with_io_or_a_clock(cores: dict[Path, ast.Module]) -> None:
    wrong = [f"{path}: {name}" for path, tree in cores.items() for name in _imports(tree) if not _may_import(name)]
    assert not wrong


def test_core_calls_no_clock_no_chance_and_waits_for_nothing(cores: dict[Path, ast.Module]) -> None:
    wrong = [f"{path}:{line}: {what}" for path, tree in cores.items() for line, what in _acts(tree)]
    assert not wrong


def test_compiled_core_imports_nothing_with_io_or_a_clock(tracked: list[Path]) -> None:
    """Cython modules are checked line by line. From the C library, they may import only types and memory functions."""
    cores = [path for path in tracked if path.suffix in {".pyx", ".pxd"} and "core" in path.parts]
    wrong = [
        f"{path}: {name}"
        for path in cores
        for pair in _IMPORT.findall(path.read_text(encoding="utf-8"))
        for name in pair
        if name and not (_may_import(name) or name in COMPILED)
    ]
    assert cores
    assert not wrong


@pytest.mark.parametrize(
    "code",
    ["import asyncio", "import time", "from os import environ", "import socket", "from bridge_common.streams import x"],
)
def test_an_import_with_io_is_seen(code: str) -> None:
    assert not all(_may_import(name) for name in _imports(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["datetime.now(UTC)", "async def f(): pass", "open('x')", "print(1)", "uuid.uuid4()", "def f(): global x"]
)
def test_an_act_is_seen(code: str) -> None:
    assert list(_acts(ast.parse(code)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in {"bridge_common", "bridge_common.base"}:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def _may_import(name: str) -> bool:
    package, _, rest = name.partition(".")
    if package == "bridge_common":
        return any(rest == pure or rest.startswith(f"{pure}.") for pure in PURE_COMMON)
    if package in {"call_control", "media_gateway", "agent_relay"}:
        return rest.split(".")[0] == "core"
    return name in STANDARD or package in OUTSIDE


def _acts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Global):
            yield getattr(node, "lineno", 0), type(node).__name__
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in BUILTINS_WITH_IO:
                yield node.lineno, called.id
            elif isinstance(called, ast.Attribute) and called.attr in CLOCKS_AND_CHANCE:
                yield node.lineno, called.attr
