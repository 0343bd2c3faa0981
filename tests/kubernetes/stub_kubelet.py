"""A node whose pods do not run: it binds the pods of one namespace, reports them as ready, and lets them drain.

It acts on pods with `schedulerName: stub` only, so it works on a cluster with real nodes as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from tests.kubernetes.cluster import MERGE, STRATEGIC, Cluster, Object

NODE: Final = "stub-node"
SCHEDULER: Final = "stub"
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class StubKubelet:
    """`drain_s`: seconds from the deletion of a pod to its end. Ready pods are those in `ready`."""

    def __init__(self, cluster: Cluster, namespace: str, *, start_s: float, drain_s: Callable[[Object], float]) -> None:
        self._cluster = cluster
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._start_s = start_s
        self._drain_s = drain_s
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pods: dict[str, Object] = {}
        self.deleted: list[str] = []
        """Names of the pods in the order in which their deletion began."""
        self.most_draining = 0
        self.draining: set[str] = set()

    async def __aenter__(self) -> StubKubelet:
        await self._register()
        self._spawn(self._renew_lease())
        self._spawn(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def active(self, name: str) -> dict[str, Object]:
        """Pods of a service that are not terminating."""
        label = "app.kubernetes.io/name"
        return {
            key: pod
            for key, pod in self.pods.items()
            if pod["metadata"]["labels"][label] == name and "deletionTimestamp" not in pod["metadata"]
        }

    async def set_ready(self, name: str, ready: bool) -> None:
        now = _now()
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("PodScheduled", "Initialized")
        ]
        conditions += [
            {"type": kind, "status": str(ready), "lastTransitionTime": now} for kind in ("ContainersReady", "Ready")
        ]
        body = {"status": {"phase": "Running", "startTime": now, "conditions": conditions}}
        await self._cluster.patch(f"{self._pods}/{name}/status", body, STRATEGIC)

    # -- the node ----------------------------------------------------------------------------------------------
    async def _register(self) -> None:
        node = {"metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}}
        with suppress(httpx.HTTPStatusError):
            await self._cluster.create("/api/v1/nodes", node)
        with suppress(httpx.HTTPStatusError):
            await self._cluster.create(_LEASES, {"metadata": {"name": NODE}, "spec": {"holderIdentity": NODE}})
        await self._beat()

    async def _beat(self) -> None:
        ready = {"type": "Ready", "status": "True", "reason": "Stub", "message": "", "lastHeartbeatTime": _now()}
        await self._cluster.patch(f"/api/v1/nodes/{NODE}/status", {"status": {"conditions": [ready]}}, STRATEGIC)
        lease = {"spec": {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": _now(micro=True)}}
        await self._cluster.patch(f"{_LEASES}/{NODE}", lease, MERGE)

    async def _renew_lease(self) -> None:
        while True:
            await asyncio.sleep(10)
            await self._beat()

    # -- the pods ----------------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        while True:
            listed = await self._cluster.get(self._pods)
            for pod in listed["items"]:
                self._see(pod)
            async for event in self._cluster.watch(self._pods, listed["metadata"]["resourceVersion"]):
                if event["type"] == "DELETED":
                    self.pods.pop(event["object"]["metadata"]["name"], None)
                    self.draining.discard(event["object"]["metadata"]["name"])
                elif event["type"] in {"ADDED", "MODIFIED"}:
                    self._see(event["object"])
                elif event["type"] == "ERROR":
                    break

    def _see(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        if pod["spec"].get("schedulerName") != SCHEDULER:
            return
        self.pods[name] = pod
        if "deletionTimestamp" in pod["metadata"]:
            if name not in self.draining:
                self.draining.add(name)
                self.deleted.append(name)
                self.most_draining = max(self.most_draining, len(self.draining))
                self._spawn(self._end(name, self._drain_s(pod)))
        elif name not in self._seen:
            self._seen.add(name)
            self._spawn(self._begin(name))

    async def _begin(self, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        with suppress(httpx.HTTPStatusError):
            await self._cluster.create(f"{self._pods}/{name}/binding", {"metadata": {"name": name}, "target": target})
            await asyncio.sleep(self._start_s)
            await self.set_ready(name, True)

    async def _end(self, name: str, drain_s: float) -> None:
        await asyncio.sleep(drain_s)
        with suppress(httpx.HTTPStatusError):
            await self._cluster.delete(f"{self._pods}/{name}", gracePeriodSeconds="0")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _now(*, micro: bool = False) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")
