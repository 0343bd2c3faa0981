"""The CI workflows and the dependency updates use existing targets and folders, and supported versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml


def _load(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module", params=["ci.yml", "nightly.yml"])
def workflow(request: pytest.FixtureRequest, root: Path) -> dict[Any, Any]:
    return _load(root / ".github/workflows" / request.param)


@pytest.fixture(scope="module")
def ci(root: Path) -> dict[Any, Any]:
    return _load(root / ".github/workflows/ci.yml")


def _steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_may_only_read_and_every_job_has_a_time_limit(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_actions_are_pinned_to_a_version(workflow: dict[Any, Any]) -> None:
    used = [step["uses"] for step in _steps(workflow) if "uses" in step]
    assert used
    pinned = re.compile(r"[\w.-]+/[\w./-]+@(v\d+(\.\d+)*|[0-9a-f]{40})|docker://[\w./-]+:\d+(\.\d+)+")
    assert [name for name in used if not pinned.fullmatch(name)] == []


def test_the_workflow_runs_targets_of_the_makefile(workflow: dict[Any, Any], root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):.*##", makefile, re.MULTILINE))
    commands = [step["run"].split() for step in _steps(workflow) if "run" in step]
    assert commands
    assert all(command[0] == "make" and command[1] in targets for command in commands)


def test_ci_runs_tests_coverage_and_images(ci: dict[Any, Any]) -> None:
    commands = {step["run"].split()[1] for step in _steps(ci) if "run" in step}
    assert commands == {"test", "coverage", "integration", "redis-server", "images", "infra-tools", "infra"}


def test_ci_runs_the_oldest_supported_redis(ci: dict[Any, Any], root: Path) -> None:
    fetch, suite = [step for step in ci["jobs"]["oldest-redis"]["steps"] if "run" in step]
    release = fetch["run"].partition("REDIS=")[2]
    page = (root / "docs/redis.md").read_text(encoding="utf-8")
    assert f"Redis {release.rpartition('.')[0]} or Valkey" in page
    assert f"Redis {release} and" in page
    assert suite["env"] == {"REDIS_SERVER": "${{ github.workspace }}/out/redis-server"}


def test_every_night_the_tests_of_main_run_five_times_in_a_row(root: Path) -> None:
    workflow = _load(root / ".github/workflows/nightly.yml")
    assert workflow[True]["schedule"]  # YAML 1.1 reads the key `on` as true.
    [job] = workflow["jobs"].values()
    assert (len(job["strategy"]["matrix"]["run"]), job["strategy"]["max-parallel"]) == (5, 1)
    assert job["strategy"]["fail-fast"] is False
    [suite] = [step for step in job["steps"] if "run" in step]
    assert (suite["run"], suite["env"]) == ("make test", {"FUZZ_INPUTS": 1_000_000, "EVERY_FORM": 1})
    assert [step["with"]["ref"] for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")] == [
        "main"
    ]


def test_the_oldest_supported_python_and_that_of_the_images_are_tested(ci: dict[Any, Any], root: Path) -> None:
    tested = ci["jobs"]["test"]["strategy"]["matrix"]["python"]
    supported = {
        match[1]
        for path in root.glob("*/*/pyproject.toml")
        if (match := re.search(r'^requires-python = ">=([\d.]+)"$', path.read_text(encoding="utf-8"), re.MULTILINE))
    }
    assert {(root / ".python-version").read_text(encoding="utf-8").strip(), *supported} == set(tested)


def test_images_and_development_use_one_python(root: Path) -> None:
    version = (root / ".python-version").read_text(encoding="utf-8").strip()
    images = [*root.glob("services/*/Dockerfile"), root / "lab/Dockerfile"]
    assert len(images) == 4
    for image in images:
        bases = re.findall(r"^FROM python:([\d.]+)-", image.read_text(encoding="utf-8"), re.MULTILINE)
        assert bases == [version, version], image


def test_updates_cover_every_lock_image_and_workflow(root: Path) -> None:
    updates = yaml.safe_load((root / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    folders = {
        update["package-ecosystem"]: {
            folder.strip("/") for folder in update.get("directories", [update.get("directory")])
        }
        for update in updates
    }
    images = {
        str(path.parent.relative_to(root)) for path in (*root.glob("services/*/Dockerfile"), root / "lab/Dockerfile")
    }
    assert folders["docker"] == images
    assert folders["pip"] == {"requirements", "tests/contract/frameworks"}
    assert folders["npm"] == {"tests/contract/node"}
    assert folders["github-actions"] == {""}
