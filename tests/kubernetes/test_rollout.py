"""A roll-out of 12 gateways, with the pacing of the manifests and without it. Times are divided by 40."""

from __future__ import annotations

import time

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Build, Report
from tests.kubernetes.stub_kubelet import StubKubelet
from tests.kubernetes.workloads import apply, grace_s, is_rolled_out, workloads
from tests.support.eventually import eventually

GATEWAY = "media-gateway"
PODS = 12
FASTER = 40
START_S = 0.5


async def _roll_out(
    cluster: Cluster, namespace: str, built: Build, report: Report, name: str, **strategy: int | str
) -> StubKubelet:
    """`strategy`: replaces values of the Deployment."""
    manifests = built("aks")
    drain_s = grace_s(manifests, GATEWAY) / FASTER
    chosen = workloads(manifests, namespace, {GATEWAY: PODS}, faster=FASTER)
    (target,) = [manifest for manifest in chosen if manifest["kind"] == "Deployment"]
    if strategy:
        target["spec"]["minReadySeconds"] = 0
        target["spec"]["strategy"]["rollingUpdate"].update(strategy)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{GATEWAY}"
    async with StubKubelet(cluster, namespace, start_s=START_S, drain_s=lambda _: drain_s) as stub:
        apply(chosen)
        await eventually(lambda: is_rolled_out(cluster, namespace, GATEWAY), within_s=120, every_s=0.2)
        began = time.monotonic()
        restart = {"spec": {"template": {"metadata": {"annotations": {"restarted": "yes"}}}}}
        await cluster.patch(path, restart)
        fewest = PODS

        async def done() -> bool:
            nonlocal fewest
            fewest = min(fewest, len(stub.active(GATEWAY)))
            return len(stub.deleted) == PODS and not stub.draining

        await eventually(done, within_s=400, every_s=0.1)
        took_s = time.monotonic() - began
        figures = {
            "pods": PODS,
            "drain of a pod, s": drain_s,
            "minReadySeconds": target["spec"]["minReadySeconds"],
            "strategy": target["spec"]["strategy"]["rollingUpdate"],
            "most pods draining at the same time": stub.most_draining,
            "fewest pods not terminating": fewest,
            "took, s": round(took_s, 1),
            "times divided by": FASTER,
        }
        report(f"rollout-{name}", figures)
        assert fewest >= PODS
        return stub


@pytest.mark.timeout(600)
async def test_one_gateway_drains_at_a_time(cluster: Cluster, namespace: str, built: Build, report: Report) -> None:
    stub = await _roll_out(cluster, namespace, built, report, "paced")
    assert stub.most_draining == 1


@pytest.mark.timeout(300)
async def test_without_pacing_most_gateways_drain_at_once(
    cluster: Cluster, namespace: str, built: Build, report: Report
) -> None:
    """`minReadySeconds` prevents this: a Deployment waits for new pods only, never for old ones."""
    stub = await _roll_out(cluster, namespace, built, report, "not-paced", maxSurge="25%")
    assert stub.most_draining > PODS / 2
