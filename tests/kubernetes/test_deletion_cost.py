"""call-control's own client of the Kubernetes API, with the token, the role and the admission policy of
`k8s/components/deletion-cost`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.kubernetes.cluster import MERGE, STRATEGIC, Cluster, kubectl
from tests.kubernetes.conftest import Build, Report
from tests.kubernetes.stub_kubelet import StubKubelet
from tests.kubernetes.test_scale_down import COST
from tests.kubernetes.workloads import apply, is_rolled_out, scale, workloads
from tests.support.eventually import eventually

GATEWAY = "media-gateway"
CALLS = (50, 7, 30)
CONFINED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Permitted by the Pod Security level of the namespace, which is checked before admission policies."""
ATTEMPTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "image": ("", STRATEGIC, {"spec": {"containers": [{"name": GATEWAY, "image": "example.com/other:1"}]}}),
    "label": ("", MERGE, {"metadata": {"labels": {"app.kubernetes.io/name": "other"}}}),
    "other annotation": ("", MERGE, {"metadata": {"annotations": {"example.com/other": "1"}}}),
    "other annotation, with the cost": (
        "",
        MERGE,
        {"metadata": {"annotations": {COST: "9", "example.com/other": "1"}}},
    ),
    "finalizer": ("", MERGE, {"metadata": {"finalizers": ["example.com/other"]}}),
    "owner reference": ("", MERGE, {"metadata": {"ownerReferences": []}}),
    "ephemeral container": (
        "/ephemeralcontainers",
        STRATEGIC,
        {
            "spec": {
                "ephemeralContainers": [{"name": "other", "image": "example.com/other:1", "securityContext": CONFINED}]
            }
        },
    ),
}
"""Subresource, type and body of patches that change more of a pod than its deletion cost."""

pod_api: Any = pytest.importorskip("call_control.kubernetes.pod_api")


def _account(folder: Path, namespace: str) -> Path:
    """The files that kubelet mounts into the pods of call-control."""
    (folder / "token").write_text(kubectl("-n", namespace, "create", "token", "call-control"), encoding="ascii")
    (folder / "namespace").write_text(namespace, encoding="ascii")
    authority = kubectl("-n", namespace, "get", "configmap", "kube-root-ca.crt", "-o", r"jsonpath={.data.ca\.crt}")
    (folder / "ca.crt").write_text(authority, encoding="ascii")
    return folder


def _permissions(built: Build, namespace: str) -> None:
    """Apply the role in the namespace, and the policy as built: it has to apply to each namespace."""
    manifests = built("aks")
    role = [one for one in manifests if one["metadata"]["name"] == "pod-deletion-cost"]
    for one in role:
        one["metadata"]["namespace"] = namespace
        for subject in one.get("subjects", []):
            subject["namespace"] = namespace
    assert {one["kind"] for one in role} == {"Role", "RoleBinding"}
    policy = [one for one in manifests if one["kind"].startswith("ValidatingAdmissionPolicy")]
    assert len(policy) == 2
    apply([*role, *policy])


def _server() -> str:
    address: str = yaml.safe_load(kubectl("config", "view", "--minify"))["clusters"][0]["cluster"]["server"]
    return address


def _api(account: Path) -> Any:
    address = urlsplit(_server())
    return pod_api.ApiServer(address.hostname, address.port or 443, account)


@asynccontextmanager
async def _thief(account: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the token of call-control."""
    headers = {"Authorization": f"Bearer {(account / 'token').read_text(encoding='ascii')}"}
    trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
    async with httpx.AsyncClient(base_url=_server(), verify=trusted, headers=headers, trust_env=False) as client:
        yield client


@pytest.mark.timeout(180)
async def test_call_control_may_write_costs_and_nothing_else(
    cluster: Cluster, namespace: str, built: Build, report: Report, tmp_path: Path
) -> None:
    async with StubKubelet(cluster, namespace, start_s=0.1, drain_s=lambda _: 1) as stub:
        apply(workloads(built("aks"), namespace, {GATEWAY: len(CALLS)}, faster=320))
        _permissions(built, namespace)
        await eventually(lambda: is_rolled_out(cluster, namespace, GATEWAY), within_s=60, every_s=0.2)
        account = _account(tmp_path, namespace)
        calls = dict(zip(sorted(stub.active(GATEWAY)), CALLS, strict=True))
        async with _api(account).session() as session:
            for pod, count in calls.items():
                await session.set_deletion_cost(pod, count)
        await scale(cluster, namespace, GATEWAY, len(CALLS) - 1)
        await eventually(lambda: stub.deleted, within_s=30, every_s=0.2)
        assert [calls[pod] for pod in stub.deleted] == [min(CALLS)]

        pod = max(calls, key=lambda name: calls[name])
        core = f"/api/v1/namespaces/{namespace}"
        async with _thief(account) as client:
            refused = {
                "list pods": (await client.get(f"{core}/pods")).status_code,
                "get a pod": (await client.get(f"{core}/pods/{pod}")).status_code,
                "delete a pod": (await client.delete(f"{core}/pods/{pod}")).status_code,
                "read Secrets": (await client.get(f"{core}/secrets")).status_code,
                "patch a Deployment": (
                    await client.patch(
                        f"/apis/apps/v1/namespaces/{namespace}/deployments/{GATEWAY}",
                        json={"spec": {"replicas": 0}},
                        headers={"Content-Type": MERGE},
                    )
                ).status_code,
            }
        report("deletion-cost", refused)
        assert set(refused.values()) == {403}


def _identity(pod: dict[str, Any]) -> dict[str, Any]:
    """Everything of a pod that a patch can change, except the deletion cost."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in {"managedFields", "resourceVersion"}}
    notes = {key: value for key, value in metadata.pop("annotations", {}).items() if key != COST}
    return {"metadata": metadata, "annotations": notes, "spec": pod["spec"]}


@pytest.mark.timeout(180)
async def test_a_stolen_token_changes_nothing_else_of_a_pod(
    cluster: Cluster, namespace: str, built: Build, report: Report, tmp_path: Path
) -> None:
    apply(workloads(built("aks"), namespace, {GATEWAY: 1}, faster=320))
    _permissions(built, namespace)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await eventually(lambda: cluster.items(pods), within_s=60, every_s=0.2)
    (pod,) = await cluster.items(pods)
    path = f"{pods}/{pod['metadata']['name']}"

    account = _account(tmp_path, namespace)
    async with _thief(account) as client:

        async def attempt(name: str, **params: str) -> tuple[int, str]:
            subresource, kind, body = ATTEMPTS[name]
            headers = {"Content-Type": kind}
            answer = await client.patch(path + subresource, params=params, content=json.dumps(body), headers=headers)
            return answer.status_code, answer.json().get("message", "")

        async def is_enforced(name: str) -> bool:
            return (await attempt(name, dryRun="All"))[0] == 422

        await eventually(lambda: is_enforced("label"), within_s=60, every_s=0.2)
        refused = {name: await attempt(name) for name in ATTEMPTS}
        async with _api(account).session() as session:
            for cost in (5, 7, 3):
                await session.set_deletion_cost(pod["metadata"]["name"], cost)

        wider = {"rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}]}
        await cluster.patch(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/pod-deletion-cost", wider)
        await eventually(lambda: is_enforced("ephemeral container"), within_s=60, every_s=0.2)
        with_wider_role = {name: await attempt(name) for name in ATTEMPTS}
        answer = await client.delete(path)
        with_wider_role["delete the pod"] = (answer.status_code, answer.json().get("message", ""))
    report("deletion-cost-policy", {"refused": refused, "refused with all verbs": with_wider_role})

    code, message = refused.pop("ephemeral container")
    assert code == 403
    assert 'cannot patch resource "pods/ephemeralcontainers"' in message
    for code, message in (*refused.values(), *with_wider_role.values()):
        assert code == 422
        assert f"call-control may only change the annotation {COST}" in message
    assert refused["finalizer"][1].endswith("not metadata.finalizers")
    assert refused["other annotation, with the cost"][1].endswith("not annotation example.com/other")
    now = await cluster.get(path)
    assert _identity(now) == _identity(pod)
    assert now["metadata"]["annotations"][COST] == "3"
    await cluster.patch(path, ATTEMPTS["label"][2])
