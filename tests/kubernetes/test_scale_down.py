"""Which pods a scale-down removes. The deletion costs are written by the test, in place of call-control."""

from __future__ import annotations

import httpx
import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Build, Report
from tests.kubernetes.stub_kubelet import StubKubelet
from tests.kubernetes.workloads import apply, deployment, is_rolled_out, scale, workloads
from tests.support.eventually import eventually

GATEWAY = "media-gateway"
COST = "controller.kubernetes.io/pod-deletion-cost"
CALLS = (80, 10, 60, 40, 70, 20)


async def write_costs(cluster: Cluster, namespace: str, calls: dict[str, int]) -> None:
    """Write the costs of the pods that still exist."""
    for pod, count in calls.items():
        body = {"metadata": {"annotations": {COST: str(count)}}}
        try:
            await cluster.patch(f"/api/v1/namespaces/{namespace}/pods/{pod}", body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise


async def _running(cluster: Cluster, namespace: str, built: Build) -> None:
    apply(workloads(built("aks"), namespace, {GATEWAY: len(CALLS)}, faster=320))
    await eventually(lambda: is_rolled_out(cluster, namespace, GATEWAY), within_s=60, every_s=0.2)


async def _scaled_down(cluster: Cluster, namespace: str, stub: StubKubelet, to: int, deleted: int) -> list[str]:
    await scale(cluster, namespace, GATEWAY, to)

    async def done() -> bool:
        status = (await deployment(cluster, namespace, GATEWAY))["status"]
        return len(stub.deleted) == deleted and status["replicas"] == to

    await eventually(done, within_s=60, every_s=0.2)
    return stub.deleted


@pytest.mark.timeout(180)
async def test_the_emptiest_pod_is_removed_first(
    cluster: Cluster, namespace: str, built: Build, report: Report
) -> None:
    async with StubKubelet(cluster, namespace, start_s=0.1, drain_s=lambda _: 1) as stub:
        await _running(cluster, namespace, built)
        calls = dict(zip(sorted(stub.active(GATEWAY)), CALLS, strict=True))
        await write_costs(cluster, namespace, calls)
        for count in range(1, len(CALLS)):
            await _scaled_down(cluster, namespace, stub, len(CALLS) - count, count)
        removed = [calls[pod] for pod in stub.deleted]
        report("scale-down", {"calls of the pods": CALLS, "calls of the removed pods, in order": removed})
        assert removed == sorted(CALLS)[:-1]


@pytest.mark.timeout(120)
async def test_several_pods_at_once_are_the_emptiest(cluster: Cluster, namespace: str, built: Build) -> None:
    async with StubKubelet(cluster, namespace, start_s=0.1, drain_s=lambda _: 1) as stub:
        await _running(cluster, namespace, built)
        calls = dict(zip(sorted(stub.active(GATEWAY)), CALLS, strict=True))
        await write_costs(cluster, namespace, calls)
        removed = await _scaled_down(cluster, namespace, stub, 3, 3)
        assert sorted(calls[pod] for pod in removed) == [10, 20, 40]


@pytest.mark.timeout(120)
async def test_a_full_pod_that_is_not_ready_would_be_removed_first(
    cluster: Cluster, namespace: str, built: Build
) -> None:
    """This is the reason that a full pod stays ready: readiness ranks before the deletion cost."""
    async with StubKubelet(cluster, namespace, start_s=0.1, drain_s=lambda _: 1) as stub:
        await _running(cluster, namespace, built)
        calls = dict(zip(sorted(stub.active(GATEWAY)), CALLS, strict=True))
        await write_costs(cluster, namespace, calls)
        fullest = max(calls, key=lambda pod: calls[pod])
        await stub.set_ready(fullest, False)

        async def is_seen() -> bool:
            return bool((await deployment(cluster, namespace, GATEWAY))["status"].get("unavailableReplicas"))

        await eventually(is_seen, within_s=30, every_s=0.2)
        assert await _scaled_down(cluster, namespace, stub, len(CALLS) - 1, 1) == [fullest]
