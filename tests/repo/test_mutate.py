"""The mutants of `make mutate`, and the tests that are run for them."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants_of
from tests.mutation.mutate import Copy, judges_of, modules

HERE = Path("core/one.py")


def lines_of(source: str) -> set[str]:
    """Return the first line that each mutant changes, after the change."""
    changed = set()
    for mutant in mutants_of(HERE, source):
        after = mutant.apply(source)
        ast.parse(after)
        changed.add(after.splitlines()[mutant.line - 1].strip())
    return changed


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", {"x = a <= b"}),
        ("limit = 10", {"limit = (11)", "limit = (9)"}),
        ("on = True", {"on = False"}),
        ("queue.clear()", {"pass"}),
        ("if ready: go = 1", {"if not (ready): go = 1", "if ready: go = (2)", "if ready: go = (0)"}),
        ("x = a and b", {"x = ((a) or (b))"}),
        ("x = not a", {"x = (a)"}),
        ("x = a - b", {"x = (a + (b))"}),
        ("x += step", {"x -= step"}),
        ("def f(): return x", {"def f(): return None"}),
    ],
)
def test_a_line_of_python_and_its_mutants(source: str, changed: set[str]) -> None:
    assert lines_of(source) == changed


@pytest.mark.parametrize(
    "source",
    [
        "log.info('x')",
        "assert a < b",
        "def f(a: Literal[1]) -> None: pass",
        "x = f'{n:02}'",
        "'text'",
        "return_ = None",
    ],
)
def test_code_that_no_test_should_depend_on_is_not_mutated(source: str) -> None:
    assert not mutants_of(HERE, source)


def test_text_beyond_ascii_before_a_mutant_moves_nothing() -> None:
    assert lines_of('x = f("…", 1)') == {'x = f("…", (2))', 'x = f("…", (0))'}


def test_lua_is_mutated_outside_its_comments() -> None:
    source = """-- lower <= higher
if epoch < held then return 0 end
redis.call('DEL', KEYS[1])
"""
    found = [mutant.describe(source) for mutant in mutants_of(Path("one.lua"), source)]
    assert found == ["one.lua:2: < → <=", "one.lua:3: redis.call('DEL', KEYS[1]) → removed"]


def test_every_target_has_tests_of_its_own() -> None:
    found = list(modules(""))
    assert len(found) > 50
    assert not [module for module in found if not judges_of(module)]


def test_a_detected_mutant_is_distinguished_from_a_survivor(root: Path, tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    module = Path("services/media-gateway/src/media_gateway/admission.py")
    source = (root / module).read_text(encoding="utf-8")
    takes_sockets = next(mutant for mutant in mutants_of(module, source) if mutant.text == "False")
    assert not copy.survives(takes_sockets, source, 60)
    unchanged = replace(takes_sockets, text="True")
    assert copy.survives(unchanged, source, 60)
