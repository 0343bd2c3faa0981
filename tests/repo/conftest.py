"""Fixtures for the rules of the repository: the files that belong to the project."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kustomize import Manifest, build

Build = Callable[[str], list[Manifest]]

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".venv", ".git", "node_modules", "__pycache__", "out", ".lab", "dist", "build"}


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name not in _NOT_OURS and not path.name.startswith((".mypy", ".ruff", ".pytest", ".hypothesis")):
                yield from _walk(path)
        else:
            yield path


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """All files that git tracks or, in an unpacked archive, all files that no tool generated."""
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if answer.returncode == 0 and answer.stdout:
        files = [root / name for name in answer.stdout.split("\0") if name]
    else:
        files = list(_walk(root))
    return sorted(path for path in files if path.is_file())


@pytest.fixture(scope="session")
def modules(tracked: list[Path], root: Path) -> dict[Path, ast.Module]:
    """Maps the path of each module of the packages, relative to the root, to its syntax tree. Tests are not
    included.
    """
    sources = [path for path in tracked if path.suffix == ".py" and "src" in path.relative_to(root).parts]
    return {path.relative_to(root): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in sources}


@pytest.fixture(scope="session")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a variant of `k8s/` once."""
    cache: dict[str, list[Manifest]] = {}

    def of(variant: str) -> list[Manifest]:
        if variant not in cache:
            cache[variant] = build(root, variant, tmp_path_factory.mktemp("kustomize"))
        return cache[variant]

    return of
