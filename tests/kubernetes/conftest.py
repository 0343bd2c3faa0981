from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import Cluster, connect, install_missing_crds, kubectl
from tests.support.kustomize import Manifest, build

ROOT = Path(__file__).resolve().parents[2]
Build = Callable[[str], list[Manifest]]
Report = Callable[[str, Any], None]


@pytest.fixture(scope="session", autouse=True)
def _kubeconfig() -> None:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("set KUBECONFIG to a cluster for tests: docs/operations/deploy.md")


@pytest.fixture(scope="session")
def crds_of_vendors(_kubeconfig: None) -> list[str]:
    return install_missing_crds()


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with connect() as connected:
        yield connected


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"voice-bridge-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
    # Nothing drains the pods any more, now that the stub has ended.
    kubectl("-n", name, "delete", "deployments", "--all")
    kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return lambda variant: build(ROOT, variant, tmp_path_factory.mktemp("kustomize"))


@pytest.fixture(scope="session")
def report() -> Report:
    """Write the figures of a test to `out/kubernetes/<name>.json`."""

    def write(name: str, figures: Any) -> None:
        folder = ROOT / "out/kubernetes"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    return write
