"""The CI workflows and the dependency updates use existing targets and folders, and supported versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.chaos.pod_rows import POD_ROWS


def _load(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module", params=["ci.yml", "nightly.yml"])
def workflow(request: pytest.FixtureRequest, root: Path) -> dict[Any, Any]:
    return _load(root / ".github/workflows" / request.param)


@pytest.fixture(scope="module")
def ci(root: Path) -> dict[Any, Any]:
    return _load(root / ".github/workflows/ci.yml")


@pytest.fixture(scope="module")
def release(root: Path) -> dict[Any, Any]:
    return _load(root / ".github/workflows/release.yml")


@pytest.fixture(scope="module", params=["ci.yml", "nightly.yml", "kubernetes.yml", "release.yml"])
def source(request: pytest.FixtureRequest, root: Path) -> str:
    """The text of a workflow."""
    text: str = (root / ".github/workflows" / request.param).read_text(encoding="utf-8")
    return text


def _steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_may_only_read_and_every_job_has_a_time_limit(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_actions_are_pinned_to_a_commit_with_its_version(source: str) -> None:
    """Dependabot updates both. The image of actionlint has a version only: its digest could not be verified."""
    used = re.findall(r"uses: (.+)$", source, re.MULTILINE)
    assert used
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|docker://rhysd/actionlint:\d+(\.\d+)+")
    assert [name for name in used if not pinned.fullmatch(name)] == []


def test_one_action_has_one_version_in_all_workflows(root: Path) -> None:
    used: dict[str, set[str]] = {}
    for path in (root / ".github/workflows").glob("*.yml"):
        for name, pin in re.findall(r"uses: ([\w./-]+)@(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            used.setdefault(name, set()).add(pin)
    assert {name: pins for name, pins in used.items() if len(pins) > 1} == {}


def test_no_checkout_leaves_its_token_in_the_workspace(source: str) -> None:
    steps = [step for step in _steps(yaml.safe_load(source)) if step.get("uses", "").startswith("actions/checkout@")]
    assert steps
    assert all(step["with"]["persist-credentials"] is False for step in steps)


def test_no_expression_is_part_of_a_command(source: str) -> None:
    """An expression in a command would be executed. Only the values of a matrix are our own."""
    commands = [step.get("run", "").replace("${{ matrix.", "") for step in _steps(yaml.safe_load(source))]
    assert [command for command in commands if "${{" in command] == []


def test_a_release_is_only_made_from_a_version_tag_and_has_only_the_rights_of_each_job(release: dict[Any, Any]) -> None:
    assert release[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}  # YAML 1.1 reads the key `on` as true.
    assert release["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions", {"contents": "read"}) for name, job in release["jobs"].items()}
    assert rights == {
        "check": {"contents": "read"},
        "images": {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"},
        "publish": {"contents": "write"},
    }
    assert release["jobs"]["images"]["environment"] == "release"


def test_a_release_uses_no_cache_that_another_workflow_can_write(release: dict[Any, Any]) -> None:
    options = [step.get("with", {}) for step in _steps(release)]
    assert [one for one in options if "cache" in one or one.get("cache-image") or one.get("cache-binary")] == []


def test_a_release_is_checked_before_images_are_pushed(release: dict[Any, Any]) -> None:
    assert release["jobs"]["images"]["needs"] == "check"
    commands = [step["run"] for step in release["jobs"]["check"]["steps"] if "run" in step]
    assert [command for command in commands if command.startswith("make")] == [
        'make release-check VERSION="${GITHUB_REF_NAME#v}"',
        "make audit",
    ]


def test_ci_scans_every_image(ci: dict[Any, Any], root: Path) -> None:
    options = [step["with"] for step in ci["jobs"]["images"]["steps"] if "scan-action" in step.get("uses", "")]
    compose = (root / "docker-compose.yml").read_text(encoding="utf-8")
    assert {one["image"] for one in options} == set(re.findall(r"voice-bridge/[a-z-]+:local", compose))
    assert all((one["severity-cutoff"], one["only-fixed"]) == ("high", True) for one in options)


def test_the_workflow_runs_targets_of_the_makefile(workflow: dict[Any, Any], root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):.*##", makefile, re.MULTILINE))
    commands = [step["run"].split() for step in _steps(workflow) if "run" in step]
    assert commands
    assert all(command[0] == "make" and command[1] in targets for command in commands)


def test_ci_runs_tests_coverage_and_images(ci: dict[Any, Any]) -> None:
    commands = {step["run"].split()[1] for step in _steps(ci) if "run" in step}
    assert commands == {
        *("test", "coverage", "integration", "redis-server", "images", "promtool"),
        *("sbom", "audit", "workflows", "infra-tools", "infra"),
    }


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
    job = workflow["jobs"]["repeat"]
    assert (len(job["strategy"]["matrix"]["run"]), job["strategy"]["max-parallel"]) == (5, 1)
    assert job["strategy"]["fail-fast"] is False
    [suite] = [step for step in job["steps"] if "run" in step]
    assert (suite["run"], suite["env"]) == ("make test", {"FUZZ_INPUTS": 1_000_000, "EVERY_FORM": 1, "NIGHTLY": 1})
    checkouts = [step for step in _steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["ref"] for step in checkouts] == ["main"] * 4


def test_every_night_pods_are_replaced_under_calls(root: Path) -> None:
    job = _load(root / ".github/workflows/nightly.yml")["jobs"]["chaos"]
    rows = ",".join(row.name for row in POD_ROWS)
    assert [step["run"] for step in job["steps"] if "run" in step] == [f"make chaos ROWS={rows} REPEATS=1"]


def test_every_night_main_is_upgraded_from_the_latest_release(root: Path) -> None:
    job = _load(root / ".github/workflows/nightly.yml")["jobs"]["upgrade"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make upgrade"]
    [checkout] = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"] == {"ref": "main", "persist-credentials": False, "fetch-depth": 0}


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
        bases = re.findall(
            r"^FROM python:([\d.]+)-[^\s@]+(?:@sha256:[0-9a-f]{64})?(?: |$)",
            image.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
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
    assert folders["pip"] == {"requirements", "tests/contract/frameworks", "scripts/supply-chain"}
    assert folders["npm"] == {"tests/contract/node"}
    assert folders["github-actions"] == folders["docker-compose"] == {""}
    assert all(update["cooldown"] == {"default-days": 7} for update in updates)
