"""call-control's own client of the Kubernetes API, with the token and the role of `k8s/components/deletion-cost`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.kubernetes.cluster import Cluster, kubectl
from tests.kubernetes.conftest import Build, Report
from tests.kubernetes.stub_kubelet import StubKubelet
from tests.kubernetes.workloads import apply, is_rolled_out, scale, workloads
from tests.support.eventually import eventually

GATEWAY = "media-gateway"
CALLS = (50, 7, 30)

pod_api: Any = pytest.importorskip("call_control.kubernetes.pod_api")


def _account(folder: Path, namespace: str) -> Path:
    """The files that kubelet mounts into the pods of call-control."""
    (folder / "token").write_text(kubectl("-n", namespace, "create", "token", "call-control"), encoding="ascii")
    (folder / "namespace").write_text(namespace, encoding="ascii")
    authority = kubectl("-n", namespace, "get", "configmap", "kube-root-ca.crt", "-o", r"jsonpath={.data.ca\.crt}")
    (folder / "ca.crt").write_text(authority, encoding="ascii")
    return folder


def _role(built: Build, namespace: str) -> None:
    chosen = [one for one in built("aks") if one["metadata"]["name"] == "pod-deletion-cost"]
    for one in chosen:
        one["metadata"]["namespace"] = namespace
        for subject in one.get("subjects", []):
            subject["namespace"] = namespace
    assert {one["kind"] for one in chosen} == {"Role", "RoleBinding"}
    apply(chosen)


@pytest.mark.timeout(180)
async def test_call_control_may_write_costs_and_nothing_else(
    cluster: Cluster, namespace: str, built: Build, report: Report, tmp_path: Path
) -> None:
    async with StubKubelet(cluster, namespace, start_s=0.1, drain_s=lambda _: 1) as stub:
        apply(workloads(built("aks"), namespace, {GATEWAY: len(CALLS)}, faster=320))
        _role(built, namespace)
        await eventually(lambda: is_rolled_out(cluster, namespace, GATEWAY), within_s=60, every_s=0.2)
        account = _account(tmp_path, namespace)
        server = yaml.safe_load(kubectl("config", "view", "--minify"))["clusters"][0]["cluster"]["server"]
        address = urlsplit(server)
        calls = dict(zip(sorted(stub.active(GATEWAY)), CALLS, strict=True))
        api = pod_api.ApiServer(address.hostname, address.port or 443, account)
        async with api.session() as session:
            for pod, count in calls.items():
                await session.set_deletion_cost(pod, count)
        await scale(cluster, namespace, GATEWAY, len(CALLS) - 1)
        await eventually(lambda: stub.deleted, within_s=30, every_s=0.2)
        assert [calls[pod] for pod in stub.deleted] == [min(CALLS)]

        token = (account / "token").read_text(encoding="ascii")
        pod = max(calls, key=lambda name: calls[name])
        core = f"{server}/api/v1/namespaces/{namespace}"
        headers = {"Authorization": f"Bearer {token}"}
        trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
        async with httpx.AsyncClient(verify=trusted, headers=headers, trust_env=False) as client:
            refused = {
                "list pods": (await client.get(f"{core}/pods")).status_code,
                "get a pod": (await client.get(f"{core}/pods/{pod}")).status_code,
                "delete a pod": (await client.delete(f"{core}/pods/{pod}")).status_code,
                "read Secrets": (await client.get(f"{core}/secrets")).status_code,
                "patch a Deployment": (
                    await client.patch(
                        f"{server}/apis/apps/v1/namespaces/{namespace}/deployments/{GATEWAY}",
                        json={"spec": {"replicas": 0}},
                        headers={"Content-Type": "application/merge-patch+json"},
                    )
                ).status_code,
            }
        report("deletion-cost", refused)
        assert set(refused.values()) == {403}
