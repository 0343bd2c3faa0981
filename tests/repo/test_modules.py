"""Rules for modules: their size, their tests, and the modules that may format Redis keys."""

from __future__ import annotations

import ast
import re
from pathlib import Path

MOST_LINES = 399

# The tests that cover a module without a test module of the same name.
TESTED_ELSEWHERE: dict[str, str] = {
    "services/media-gateway/src/media_gateway/socket_context.py": (
        "tests/integration/media_gateway/socket/test_media_session.py"
    ),
    "services/media-gateway/src/media_gateway/socket/message_socket.py": (
        "tests/integration/media_gateway/socket/test_frame_socket.py"
    ),
}

KEY_MODULES = {"keys.py", "policy_store.py", "ring_counter.py", "rule_places.py", "connection_quota.py"}
"""Modules that format Redis keys. `keys.py` has the keys that services share; the others have keys of a single service.
"""
_KEY = re.compile(r"^\{s\d|:call:|:(leases|owners|inbox|wake|uplink|downlink|transcript|timers|seen)\b|^quota:")
_KEY_COMMANDS = re.compile(
    r"^(x(add|read|readgroup|ack|trim|del|len|range|revrange|autoclaim|claim|pending|group_create)"
    r"|h(set|get|getall|del|incrby|mget|exists)|z(add|rem|range|rangebyscore|score|card)|sadd|srem|smembers"
    r"|expire|pexpire|unlink|persist)$"
)


def test_every_module_is_under_400_lines(tracked: list[Path], root: Path) -> None:
    long = {
        str(path.relative_to(root)): lines
        for path in tracked
        if path.suffix in {".py", ".pyx", ".pxd", ".pyi", ".h"}
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_every_module_has_a_test_module_of_its_name(
    modules: dict[Path, ast.Module], tracked: list[Path], root: Path
) -> None:
    """The test module is in tests/unit/<package>/, or anywhere in the tests that cover several modules."""
    tests = [path.relative_to(root).parts for path in tracked if path.match("test_*.py")]

    def tested(module: Path) -> bool:
        package = module.parts[module.parts.index("src") + 1]
        same_name = [parts for parts in tests if parts[-1] == f"test_{module.stem}.py"]
        return any(parts[1] != "unit" or parts[2] == package for parts in same_name)

    compiled = [path.relative_to(root) for path in tracked if path.suffix == ".pyx"]
    untested = [
        str(path)
        for path in [*modules, *compiled]
        if not path.name.startswith("__") and str(path) not in TESTED_ELSEWHERE and not tested(path)
    ]
    assert not untested


def test_exemptions_are_still_needed(modules: dict[Path, ast.Module], root: Path) -> None:
    for path, instead in TESTED_ELSEWHERE.items():
        assert Path(path) in modules, f"{path} does not exist; remove it from the list"
        assert (root / instead).exists(), f"{instead}, listed for {path}, does not exist"


def test_keys_are_spelled_in_their_modules(modules: dict[Path, ast.Module]) -> None:
    found = []
    for path, tree in modules.items():
        if path.parts[0] == "lab" or path.name in KEY_MODULES:
            continue
        documentation = _docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
                if _KEY.search(node.value) and "\n" not in node.value:
                    found.append(f"{path}:{node.lineno} {node.value!r}")
            elif _is_command_with_literal_key(node):
                found.append(f"{path}:{getattr(node, 'lineno', 0)} a command with a key spelled in place")
    assert not found


def test_the_search_for_keys_finds_keys() -> None:
    for code in ('f"{tag}:leases"', '"{s00}:call:1"', 'client.hgetall("fleet")', 'await redis.xadd(f"x{y}", {})'):
        tree = ast.parse(code)
        assert any(
            _is_command_with_literal_key(node)
            or (isinstance(node, ast.Constant) and isinstance(node.value, str) and _KEY.search(node.value))
            for node in ast.walk(tree)
        ), code


def _is_command_with_literal_key(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return False
    first = node.args[0]
    literal = isinstance(first, ast.JoinedStr) or (isinstance(first, ast.Constant) and isinstance(first.value, str))
    return literal and _KEY_COMMANDS.match(node.func.attr) is not None


def _docstrings(tree: ast.Module) -> set[ast.Constant]:
    """Return the string constants that are statements: docstrings of modules, functions and attributes."""
    return {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
