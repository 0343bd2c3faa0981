"""Writes a software bill of materials (CycloneDX JSON) for each image from its lock, without network access.

    python scripts/sbom.py CYCLONEDX FOLDER    # CYCLONEDX: the program cyclonedx-py

A lock is valid for all platforms, so a bill also contains packages that only other platforms install. The bills that
BuildKit attaches to the images list what is in them, with the packages of the operating system.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PROJECTS: Final = {
    "call-control": "services/call-control",
    "media-gateway": "services/media-gateway",
    "agent-relay": "services/agent-relay",
    "lab": "lab",
}
_PINNED: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([\w.!+-]+)", re.MULTILINE)


def locked(lock: Path) -> set[tuple[str, str]]:
    """Return the name and version of each package in the lock."""
    return {(name.lower(), version) for name, version in _PINNED.findall(lock.read_text(encoding="utf-8"))}


def differences(bill: Path, lock: Path) -> list[str]:
    """Return the packages that are only in the bill or only in the lock, and those without a hash in the bill."""
    components = json.loads(bill.read_text(encoding="utf-8"))["components"]
    listed = {(str(one["name"]).lower(), str(one["version"])) for one in components}
    faults = [f"{name} {version} is in only one of them" for name, version in sorted(listed ^ locked(lock))]
    return faults + [f"{one['name']} has no hash" for one in components if not _has_hash(one)]


def _has_hash(component: dict[str, object]) -> bool:
    references = component.get("externalReferences", [])
    return isinstance(references, list) and any(reference.get("hashes") for reference in references)


def write(program: str, name: str, folder: Path) -> Path:
    """Write the bill of one image and return its path."""
    bill = folder / f"{name}.cdx.json"
    lock = ROOT / f"requirements/{name}.txt"
    project = ROOT / PROJECTS[name] / "pyproject.toml"
    form = ["--of", "JSON", "--output-reproducible"]
    command = [program, "requirements", "--pyproject", str(project), *form, "-o", str(bill), str(lock)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    content = json.loads(bill.read_text(encoding="utf-8"))
    for component in content["components"]:
        component.pop("description", None)  # the line of the lock, with all hashes
    bill.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return bill


def main() -> int:
    program, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in PROJECTS:
        bill = write(program, name, folder)
        faults = differences(bill, ROOT / f"requirements/{name}.txt")
        failed |= bool(faults)
        print(bill, *faults, sep="\n  ")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
