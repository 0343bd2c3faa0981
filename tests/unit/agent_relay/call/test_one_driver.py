"""`Conversation` has one driver: no other module of the relay uses it or sets its state."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent_relay

SOURCES = Path(str(agent_relay.__file__)).parent
BUILDS: frozenset[str] = frozenset({"begin_conversation"})
"""Creates the conversation from the call's record, for the driver."""


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def _outside() -> Iterator[tuple[str, ast.Module]]:
    return ((name, tree) for name, tree in _modules() if not name.startswith("core/"))


def _names_conversation(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Conversation" for node in ast.walk(tree))


def _functions(tree: ast.Module) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_only_the_driver_keeps_the_conversation() -> None:
    naming = {name for name, tree in _outside() if _names_conversation(tree) and not _functions(tree) & BUILDS}
    assert naming == {"call/driver.py"}


def _set_in_parts(tree: ast.Module) -> Iterator[str]:
    """Assignments to an attribute of another object: `self.part.attribute = …`."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = [each for one in node.targets for each in (one.elts if isinstance(one, ast.Tuple) else [one])]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Attribute):
                yield ast.unparse(target)


@pytest.mark.parametrize("code", ["self.a.b = 1", "self.a.b += 1", "x, self.a.b = 1, 2", "self.a.b: int = 1"])
def test_an_assignment_to_a_part_is_found(code: str) -> None:
    assert list(_set_in_parts(ast.parse(code))) == ["self.a.b"]


def test_no_object_sets_attributes_of_another() -> None:
    found = [f"{name}: {target}" for name, tree in _modules() for target in _set_in_parts(tree)]
    assert found == []
