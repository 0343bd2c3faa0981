"""The API server accepts each object of each overlay and component: strictly, first as a dry run, then for real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.kubernetes.cluster import kubectl
from tests.kubernetes.conftest import Build, Report
from tests.support.kustomize import VARIANTS, Manifest

NAMESPACES = ("voice-bridge", "voice-bridge-ingress")


@pytest.fixture
def own_namespaces(_kubeconfig: None) -> Iterator[None]:
    """The namespaces that the overlays name. A cluster that has them already is not one for tests."""
    present = kubectl("get", "namespaces", "-o", "name").split()
    assert not [name for name in NAMESPACES if f"namespace/{name}" in present], "the namespaces of a deployment exist"
    for name in NAMESPACES:
        kubectl("create", "namespace", name)
    yield
    for name in NAMESPACES:
        kubectl("delete", "namespace", name, "--timeout=120s")


def _idle(manifests: list[Manifest]) -> list[Manifest]:
    """No scheduler takes the pods."""
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            manifest["spec"]["template"]["spec"]["schedulerName"] = "none"
    return manifests


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("own_namespaces")
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_accepted(variant: str, built: Build, crds_of_vendors: list[str], report: Report) -> None:
    manifests = _idle(built(variant))
    text = yaml.safe_dump_all(manifests)
    for option in ("--dry-run=server", "--dry-run=none"):
        answer = kubectl("apply", "--server-side", "--validate=strict", option, "-f", "-", stdin=text)
        assert len(answer.splitlines()) == len(manifests)
    report(f"objects-{variant}", {"objects": len(manifests), "definitions of the vendors": crds_of_vendors})


@pytest.mark.usefixtures("own_namespaces")
def test_an_unknown_field_is_refused(built: Build, crds_of_vendors: list[str]) -> None:
    manifests = built("aks")
    (one,) = [manifest for manifest in manifests if manifest["kind"] == "BackendLoadBalancingPolicy"]
    one["spec"]["backendSettings"] = []
    with pytest.raises(RuntimeError, match="field not declared in schema"):
        kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(one))
