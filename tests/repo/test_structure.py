"""The structure of the code: no import cycles, no duplicate names, few tiny modules, no access to private attributes in
tests.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SHARED_NAMES = {"__init__", "__main__", "app", "metrics", "settings"}
"""Module names that each service and simulator uses for its own module."""
TINY_LINES = 40
TINY_SHARE = 0.08
SAME_CLASS_NAMES = {
    "HangUp": "the request in the inbox, and the command to ACS that the state machine derives from it",
    "Participant": "as the record of a call stores it, and as the simulated ACS lists it",
}
"""Names that several public classes share, with their meanings."""
PRIVATE_ACCESS = """
    tests/integration/agent_relay/call/test_announcement_reader.py
    tests/integration/agent_relay/call/test_call_voice.py
    tests/integration/agent_relay/test_slow_identity.py
    tests/integration/media_gateway/test_hostile_peers.py
    tests/repo/test_insecure_starts.py
    tests/repo/test_metric_labels.py
    tests/unit/bridge_common/service/test_pending_connections.py
    tests/unit/media_gateway/core/test_rate_change.py
"""
"""Tests that still read private attributes. The list must only shrink: remove files that no longer do."""


@pytest.fixture(scope="module")
def named(tracked: list[Path], root: Path) -> dict[str, Path]:
    """The modules of the product, the simulators and the benchmark, by their dotted names."""
    folders = ("libs", "services", "lab", "bench", "sizing")
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


def test_no_two_classes_have_one_name(modules: dict[Path, ast.Module]) -> None:
    count = Counter(
        node.name
        for tree in modules.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, times in count.items() if times > 1} == set(SAME_CLASS_NAMES)


def test_tests_read_no_private_attributes_of_others(tracked: list[Path], root: Path) -> None:
    allowed = set(PRIVATE_ACCESS.split())
    found = {
        str(path.relative_to(root)): accesses
        for path in tracked
        if path.suffix == ".py"
        and path.relative_to(root).parts[0] == "tests"
        and (accesses := _private_accesses(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert {name: accesses for name, accesses in found.items() if name not in allowed} == {}
    assert allowed - set(found) == set(), "these files no longer read private attributes; remove them from the list"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("worker._calls", ["1: worker._calls"]),
        ("x = relay.link._socket.port", ["1: relay.link._socket"]),
        ("module._LIMIT = 3", ["1: module._LIMIT"]),
        ("self.driver._now = 1", ["1: self.driver._now"]),
        ("self._x = cls._y", []),
        ("super()._x()", []),
        ("value.__class__; point._replace(x=1); value._asdict()", []),
    ],
)
def test_a_private_access_is_found(code: str, found: list[str]) -> None:
    assert _private_accesses(ast.parse(code)) == found


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


def _private_accesses(tree: ast.Module) -> list[str]:
    """Return `<line>: <expression>` for each private attribute of anything but `self`, `cls` and `super()`. The public
    methods of named tuples begin with an underscore and are allowed.
    """
    public = {"_asdict", "_fields", "_make", "_replace"}
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in public
        and ast.unparse(node.value) not in {"self", "cls", "super()"}
    ]


def _imports(tree: ast.Module, names: Mapping[str, Path]) -> Iterator[str]:
    """Return the imported modules in `names`, including imports within functions and for type checking."""
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
