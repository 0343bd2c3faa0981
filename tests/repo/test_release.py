"""The release: its checks, its notes, the pinned base images, the build file and the bills of materials."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import release, sbom

DIGESTS = {"python:3.13-slim-trixie": "sha256:" + "1" * 64}
BUILT = {
    "call-control": {
        "image.name": "ghcr.io/contoso/bridge/call-control:1.2.3",
        "containerimage.digest": "sha256:" + "a" * 64,
    },
    "agent-relay": {"image.name": "host:5000/agent-relay:1.2.3", "containerimage.digest": "sha256:" + "b" * 64},
    "buildx.build.warnings": [],
}


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """Return a copy of the files that a release checks."""
    files = [*root.glob("services/*/pyproject.toml"), *root.glob("services/*/Dockerfile"), root / "CHANGELOG.md"]
    for path in (*files, root / "lab/pyproject.toml", root / "lab/Dockerfile", root / "libs/common/pyproject.toml"):
        copied = tmp_path / path.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())
    return tmp_path


def _pin(project: Path) -> None:
    for path in release.dockerfiles(project):
        path.write_text(release.pinned(path.read_text(), DIGESTS))


def test_a_release_whose_versions_changelog_and_images_agree_has_no_fault(project: Path) -> None:
    _pin(project)
    assert list(release.faults(project, "0.1.0")) == []


def test_everything_that_prevents_a_release_is_listed_at_once(project: Path) -> None:
    faults = list(release.faults(project, "0.2"))
    assert faults[0] == "0.2 is not a version; expected three numbers such as 1.2.3"
    assert "services/agent-relay/pyproject.toml has version 0.1.0; set it to 0.2" in faults
    assert "CHANGELOG.md has no section [0.2]; rename [Unreleased] and add the date" in faults
    assert sum("pyproject.toml" in fault for fault in faults) == 5


def test_a_base_image_without_a_digest_prevents_a_release(project: Path) -> None:
    _pin(project)
    path = project / "lab/Dockerfile"
    path.write_text(path.read_text().replace("@sha256:" + "1" * 64, "", 1))
    assert list(release.faults(project, "0.1.0")) == [
        "lab/Dockerfile: python:3.13-slim-trixie has no digest; run `make pin-images`"
    ]


def test_pinning_replaces_an_older_digest_and_keeps_the_stages() -> None:
    [(image, digest)] = DIGESTS.items()
    text = f"FROM {image}@sha256:{'0' * 64} AS build\nFROM --platform=linux/amd64 {image}\n"
    pinned = f"FROM {image}@{digest} AS build\nFROM --platform=linux/amd64 {image}@{digest}\n"
    assert release.pinned(text, DIGESTS) == pinned


def test_the_notes_have_the_section_of_the_changelog_and_the_digests(project: Path) -> None:
    notes = release.notes(project, "0.1.0", BUILT)
    assert notes.startswith(release.section(project, "0.1.0"))
    assert "## [" not in notes
    assert f"| call-control | `ghcr.io/contoso/bridge/call-control@sha256:{'a' * 64}` |" in notes
    assert f"| agent-relay | `host:5000/agent-relay@sha256:{'b' * 64}` |" in notes


def test_notes_need_the_digest_of_every_image(project: Path) -> None:
    with pytest.raises(ValueError, match="lab has no digest"):
        release.notes(project, "0.1.0", BUILT | {"lab": {"image.name": "lab:1"}})
    with pytest.raises(ValueError, match="no image"):
        release.notes(project, "0.1.0", {})


def test_the_build_file_builds_every_dockerfile_for_two_platforms(root: Path) -> None:
    text = (root / "docker-bake.hcl").read_text(encoding="utf-8")
    built = set(re.findall(r'dockerfile = "(.+)"', text))
    assert built == {path.relative_to(root).as_posix() for path in release.dockerfiles(root)}
    [group] = re.findall(r"targets = \[(.+)\]", text)
    assert set(re.findall(r'"([a-z-]+)"', group)) == set(sbom.PROJECTS)
    assert 'platforms = ["linux/amd64", "linux/arm64"]' in text
    assert 'attest = ["type=provenance,mode=max", "type=sbom"]' in text


def test_the_release_attests_every_image_of_the_build_file(root: Path) -> None:
    text = (root / ".github/workflows/release.yml").read_text(encoding="utf-8")
    named = re.findall(r"subject-name: ghcr.io/\$\{\{ github.repository \}\}/([a-z-]+)\n", text)
    digests = re.findall(r"outputs\.metadata\)\['([a-z-]+)'\]\['containerimage\.digest'\]", text)
    assert sorted(named) == sorted(digests) == sorted(sbom.PROJECTS)


def test_a_bill_that_differs_from_its_lock_is_a_fault(tmp_path: Path) -> None:
    lock, bill = tmp_path / "lock.txt", tmp_path / "bill.json"
    lock.write_text(
        "one==1.0 \\\n    --hash=sha256:aa\ntwo[extra]==2.0 ; python_version > '3' \\\n    --hash=sha256:bb\n"
    )
    hashed = {"externalReferences": [{"hashes": [{"alg": "SHA-256", "content": "aa"}]}]}
    bill.write_text(
        json.dumps({"components": [{"name": "one", "version": "1.0", **hashed}, {"name": "Two", "version": "2.0"}]})
    )
    assert sbom.differences(bill, lock) == ["Two has no hash"]
    bill.write_text(json.dumps({"components": [{"name": "one", "version": "1.1", **hashed}]}))
    assert sbom.differences(bill, lock) == [
        f"{one} is in only one of them" for one in ("one 1.0", "one 1.1", "two 2.0")
    ]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_release_check_fails_with_the_reasons(root: Path) -> None:
    answer = subprocess.run(
        ["make", "-s", "release-check", "VERSION=99.0.0"], cwd=root, capture_output=True, text=True, check=False
    )
    assert answer.returncode != 0
    assert "CHANGELOG.md has no section [99.0.0]" in answer.stderr
