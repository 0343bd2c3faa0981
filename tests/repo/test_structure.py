"""The structure of the code: no import circles, no duplicate module names, few tiny modules."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SHARED_NAMES = {"__init__", "__main__", "app", "metrics", "settings"}
"""Each service and simulator has its own module of these names."""
TINY_LINES = 40
TINY_SHARE = 0.16
"""0.08 is the aim: merge modules of one subject."""


@pytest.fixture(scope="module")
def named(tracked: list[Path], root: Path) -> dict[str, Path]:
    """The modules of the product, the simulators and the benchmark by their dotted names."""
    folders = ("libs", "services", "lab", "bench")
    paths = (path for path in tracked if path.suffix == ".py" and path.relative_to(root).parts[0] in folders)
    return {_name_of(path.relative_to(root)): path for path in paths if path.name != "hatch_build.py"}


@pytest.fixture(scope="module")
def product(modules: dict[Path, ast.Module]) -> list[Path]:
    return [path for path in modules if path.parts[0] != "lab" and path.name != "__init__.py"]


def test_no_module_imports_itself_over_others(named: dict[str, Path]) -> None:
    graph = {name: set(_imports(ast.parse(path.read_text(encoding="utf-8")), named)) for name, path in named.items()}
    assert len(graph) > 300
    assert not _circle(graph)


def test_no_two_modules_have_one_name(modules: dict[Path, ast.Module]) -> None:
    count = Counter(path.stem for path in modules if path.stem not in SHARED_NAMES)
    assert not [name for name, times in count.items() if times > 1]


def test_few_modules_of_the_product_are_tiny(product: list[Path], root: Path) -> None:
    tiny = [path for path in product if len((root / path).read_text(encoding="utf-8").splitlines()) < TINY_LINES]
    assert len(tiny) <= TINY_SHARE * len(product), f"{len(tiny)} of {len(product)}: {sorted(map(str, tiny))}"


@pytest.mark.parametrize(
    "code", ["import p.a", "from p import a", "def f():\n  from p.a import x", "from p.a import x"]
)
def test_a_circle_is_found(code: str) -> None:
    names = {"p.a": Path(), "p.b": Path()}
    graph = {"p.a": set(_imports(ast.parse("from p import b"), names)), "p.b": set(_imports(ast.parse(code), names))}
    assert _circle(graph)


def _name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    inner = parts[parts.index("src") + 1 :] if "src" in parts else parts
    return ".".join(inner[:-1] if inner[-1] == "__init__" else inner)


def _imports(tree: ast.Module, names: Mapping[str, Path]) -> Iterator[str]:
    """Those of `names` that the module imports, also within functions and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in names:
                    yield full
                elif node.module in names:
                    yield node.module


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
