"""Checks a release, and writes its notes.

    python scripts/release.py check VERSION            # lists everything that prevents the release
    python scripts/release.py notes VERSION < METADATA # METADATA: what `docker buildx bake --metadata-file` wrote
    python scripts/release.py pin                      # pins the base images by their current digests; needs docker

The notes are the section of CHANGELOG.md and the digests of the images.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
_BASE: Final = re.compile(r"^(FROM (?:--platform=\S+ )?)([^\s@]+)(@sha256:[0-9a-f]{64})?(?= |$)", re.MULTILINE)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def dockerfiles(root: Path) -> list[Path]:
    return [*sorted(root.glob("services/*/Dockerfile")), root / "lab/Dockerfile"]


def faults(root: Path, version: str) -> Iterator[str]:
    """Everything that prevents the release of this version."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield f"{version} is not a version; expected three numbers such as 1.2.3"
    projects = [
        *root.glob("services/*/pyproject.toml"),
        root / "libs/common/pyproject.toml",
        root / "lab/pyproject.toml",
    ]
    for project in sorted(projects):
        found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
        if found != version:
            yield f"{project.relative_to(root)} has version {found}; set it to {version}"
    if not section(root, version):
        yield f"CHANGELOG.md has no section [{version}]; rename [Unreleased] and add the date"
    for path in dockerfiles(root):
        unpinned = sorted(set(unpinned_images(path.read_text(encoding="utf-8"))))
        yield from (f"{path.relative_to(root)}: {image} has no digest; run `make pin-images`" for image in unpinned)


def unpinned_images(dockerfile: str) -> list[str]:
    return [image for _, image, digest in _BASE.findall(dockerfile) if not digest]


def pinned(dockerfile: str, digests: Mapping[str, str]) -> str:
    """Return the Dockerfile with the digest of each base image. `digests`: by image name with its tag."""
    return _BASE.sub(lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}", dockerfile)


def section(root: Path, version: str) -> str:
    """Return the section of a version in the changelog without its heading, "" if there is none."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}$"
    found = re.search(rf"{heading}\n(.*?)(?=^## \[|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def notes(root: Path, version: str, metadata: Mapping[str, Any]) -> str:
    """Return the notes of a release. Raises `ValueError` if an image has no digest."""
    rows = []
    for name, built in sorted(metadata.items()):
        if not isinstance(built, dict) or "image.name" not in built:
            continue
        digest = str(built.get("containerimage.digest", ""))
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"the image {name} has no digest; was it pushed?")
        repository = str(built["image.name"]).split(",")[0].rpartition(":")[0]
        rows.append(f"| {name} | `{repository}@{digest}` |")
    if not rows:
        raise ValueError("the metadata contain no image")
    return "\n".join(
        [section(root, version), "", "### Images", "", "| image | reference |", "| --- | --- |", *rows, ""]
    )


def _current_digest(image: str) -> str:
    """Return the digest of the image in its registry, of all platforms."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest.Digest}}", image]
    digest = str(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{image}: {digest!r} is not a digest; check the name, and that the registry has the image")
    return digest


def _pin() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in dockerfiles(ROOT)}
    images = {image for text in texts.values() for _, image, _ in _BASE.findall(text)}
    digests = {image: _current_digest(image) for image in sorted(images)}
    for path, text in texts.items():
        path.write_text(pinned(text, digests), encoding="utf-8")


def main() -> int:
    command, *arguments = sys.argv[1:]
    if command == "pin":
        _pin()
    elif command == "notes":
        print(notes(ROOT, arguments[0], json.load(sys.stdin)))
    else:
        found = list(faults(ROOT, arguments[0]))
        print("\n".join(found), file=sys.stderr)
        return int(bool(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
