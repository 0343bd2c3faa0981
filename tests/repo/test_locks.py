"""Locked requirements: exact versions, hashes, no URLs; the images install from them."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[\w.!+-]+( ; .+)?$")


def _locks(root: Path) -> list[Path]:
    return sorted((root / "requirements").glob("*.txt"))


def test_every_image_has_a_lock(root: Path) -> None:
    names = {path.stem for path in _locks(root)}
    assert names >= {"dev", "build", "lab", "call-control", "media-gateway", "agent-relay"}


def test_locks_contain_exact_versions_with_hashes_and_no_address(root: Path) -> None:
    others = (root / "tests/contract/frameworks/requirements.txt", root / "scripts/supply-chain/requirements.txt")
    for lock in (*_locks(root), *others):
        text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        assert lines, lock.name
        for line in lines:
            requirement, *hashes = re.split(r"\s+--hash=", line.strip())
            assert _REQUIREMENT.match(requirement.strip()), f"{lock.name}: {requirement}"
            assert hashes, f"{lock.name}: {requirement} has no hash"
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value.strip()) for value in hashes), f"{lock.name}: {line}"
            assert "://" not in line, f"{lock.name}: {requirement} contains a URL"


def test_the_locks_agree_on_versions(root: Path) -> None:
    """The images must use the versions that the tests ran with."""
    of_lock = {lock.stem: _versions(lock) for lock in _locks(root)}
    tested = of_lock.pop("dev")
    for name, versions in of_lock.items():
        apart = {package: version for package, version in versions.items() if tested.get(package) != version}
        assert not apart, f"the versions in {name} and dev differ"


def test_the_lock_of_the_node_contract_has_hashes_and_no_address(root: Path) -> None:
    lock = root / "tests/contract/node/package-lock.json"
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package.get("integrity", "").startswith("sha512-"), f"{name} has no hash"


def _versions(lock: Path) -> dict[str, str]:
    pattern = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([\w.!+-]+)", re.MULTILINE)
    return {name.lower(): version for name, version in pattern.findall(lock.read_text(encoding="utf-8"))}


# Distributions that a package needs without importing them, by a text in its source.
_UNSEEN = {"websockets-sansio": "websockets"}


@pytest.mark.parametrize("image", ["call-control", "media-gateway", "agent-relay", "lab"])
def test_an_image_installs_everything_its_code_imports(image: str, modules: dict[Path, ast.Module], root: Path) -> None:
    """The tests run with all packages installed; an image installs only its own lock."""
    own = {image.replace("-", "_"), *(() if image == "lab" else ("bridge_common",))}
    distributions = packages_distributions()
    locked = {_normal(name) for name in _versions(root / f"requirements/{image}.txt")}
    missing = set()
    for path, tree in modules.items():
        if path.parts[path.parts.index("src") + 1] not in own:
            continue
        for package in _imported_packages(tree) - own - set(sys.stdlib_module_names):
            names = {_normal(name) for name in distributions.get(package, [package])}
            if not names & locked:
                missing.add(f"{path}: {package}")
        text = (root / path).read_text(encoding="utf-8")
        missing |= {f"{path}: {name}" for word, name in _UNSEEN.items() if word in text and name not in locked}
    assert not missing


def _imported_packages(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
