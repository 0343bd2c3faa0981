"""docs/security.md claims nothing without a test: each `yes` names one that exists, each other answer has a note."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_ROW = re.compile(r"^\| (\d+\.\d+\.\d+(?:, \d+\.\d+\.\d+)*) ([^|]+) \| (\w+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_CHAPTERS = frozenset({1, 2, 4, 6, 8, 9, *range(11, 17)})


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/security.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page: str) -> list[tuple[str, str, str]]:
    """The requirements with their answer and its evidence."""
    return [(numbers, met, evidence) for numbers, _, met, evidence in _ROW.findall(page)]


def test_the_table_has_every_chapter_that_applies(rows: list[tuple[str, str, str]]) -> None:
    assert {int(numbers.split(".")[0]) for numbers, _, _ in rows} == _CHAPTERS
    numbers = [number for numbers, _, _ in rows for number in numbers.split(", ")]
    assert len(numbers) == len(set(numbers)) > 50


def test_each_yes_names_a_test_and_each_other_answer_a_note(rows: list[tuple[str, str, str]]) -> None:
    assert {met for _, met, _ in rows} == {"yes", "partly", "no"}
    assert [numbers for numbers, met, evidence in rows if met == "yes" and not _TEST.search(evidence)] == []
    assert [numbers for numbers, met, evidence in rows if met != "yes" and not _TEST.sub("", evidence).strip()] == []


def test_every_named_test_exists(page: str, root: Path) -> None:
    named = _TEST.findall(page)
    assert len(named) > 40
    missing = [f"{path}::{name}" for path, name in named if name not in _tests_in(root / path)]
    assert missing == []


def _tests_in(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
