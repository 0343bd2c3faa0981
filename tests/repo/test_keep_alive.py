"""Every HTTP server keeps idle connections longer than its clients do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SERVER_CALLS = frozenset({"uvicorn.Config", "uvicorn.run"})


def _without_keep_alive(tree: ast.Module) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in SERVER_CALLS
        and all(keyword.arg != "timeout_keep_alive" for keyword in node.keywords)
    ]


def test_every_server_sets_its_keep_alive_time(tracked: list[Path], root: Path) -> None:
    """uvicorn's default of 5 s equals that of httpx, so a request may arrive while the server closes the connection. In
    tests, `lab_server.running` sets the time.
    """
    sources = [path for path in tracked if path.suffix == ".py" and path.relative_to(root).parts[0] != "tests"]
    found = {
        f"{path.relative_to(root)}:{line}"
        for path in sources
        for line in _without_keep_alive(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize("code", ["uvicorn.Config(app, port=0)", "uvicorn.run(app)"])
def test_a_server_without_one_is_found(code: str) -> None:
    assert _without_keep_alive(ast.parse(code)) == [1]
