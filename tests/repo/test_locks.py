"""The locked requirements: exact versions, hashes, no addresses, and the images use them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

_REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[\w.!+-]+( ; .+)?$")


def _locks(root: Path) -> list[Path]:
    return sorted((root / "requirements").glob("*.txt"))


def test_every_image_has_a_lock(root: Path) -> None:
    names = {path.stem for path in _locks(root)}
    assert names >= {"dev", "build", "lab", "call-control", "media-gateway", "agent-relay"}


def test_locks_hold_exact_versions_with_hashes_and_no_address(root: Path) -> None:
    for lock in _locks(root):
        text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        assert lines, lock.name
        for line in lines:
            requirement, *hashes = re.split(r"\s+--hash=", line.strip())
            assert _REQUIREMENT.match(requirement.strip()), f"{lock.name}: {requirement}"
            assert hashes, f"{lock.name}: {requirement} has no hash"
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value.strip()) for value in hashes), f"{lock.name}: {line}"
            assert "://" not in line, f"{lock.name}: {requirement} names an address"


def test_the_locks_agree_on_versions(root: Path) -> None:
    """The images run the versions that the tests ran."""
    of_lock = {lock.stem: _versions(lock) for lock in _locks(root)}
    tested = of_lock.pop("dev")
    for name, versions in of_lock.items():
        apart = {package: version for package, version in versions.items() if tested.get(package) != version}
        assert not apart, f"{name} and dev differ"


def test_the_lock_of_the_node_contract_has_hashes_and_no_address(root: Path) -> None:
    lock = root / "tests/contract/node/package-lock.json"
    if not lock.exists():
        pytest.skip("no Node.js contract in this tree")
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package.get("integrity", "").startswith("sha512-"), f"{name} has no hash"


def _versions(lock: Path) -> dict[str, str]:
    pattern = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([\w.!+-]+)", re.MULTILINE)
    return {name.lower(): version for name, version in pattern.findall(lock.read_text(encoding="utf-8"))}
