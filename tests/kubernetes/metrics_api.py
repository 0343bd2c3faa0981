"""Serves `external.metrics.k8s.io` in place of KEDA or prometheus-adapter, to the cluster's own autoscaler.

The API server must reach this process: by default at `localhost`; `STUB_METRICS_HOST` is this machine's name or address
as the API server sees it (with kind, the gateway of the Docker network).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.integration.support.certificates import certified
from tests.kubernetes.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.lab_server import running

_GROUP: Final = "external.metrics.k8s.io"
_SERVICE: Final = "stub-metrics"


@asynccontextmanager
async def serving(
    cluster: Cluster, namespace: str, work: Path, value: Callable[[str, dict[str, str]], float]
) -> AsyncIterator[None]:
    """`value`: name and labels of a metric → its value."""

    async def read(request: Request) -> JSONResponse:
        labels = dict(part.split("=", 1) for part in request.query_params.get("labelSelector", "").split(",") if part)
        name = request.path_params["metric"]
        item = {"metricName": name, "metricLabels": labels, "timestamp": datetime.now(UTC).isoformat()}
        item["value"] = f"{round(value(name, labels) * 1000)}m"
        return JSONResponse({"kind": "ExternalMetricValueList", "apiVersion": f"{_GROUP}/v1beta1", "items": [item]})

    async def resources(_: Request) -> JSONResponse:
        return JSONResponse(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{_GROUP}/v1beta1", "resources": []}
        )

    base = f"/apis/{_GROUP}/v1beta1"
    app = Starlette(
        routes=[Route(base, resources), Route(base + "/namespaces/{namespace}/{metric:path}", read)],
    )
    host = os.environ.get("STUB_METRICS_HOST", "localhost")
    certified(work, host)
    config = uvicorn.Config(
        app,
        host="127.0.0.1" if host == "localhost" else "0.0.0.0",
        port=0,
        log_level="warning",
        ssl_certfile=work / "certificate.pem",
        ssl_keyfile=work / "key.pem",
    )
    async with running(config) as address:
        port = int(address.rsplit(":", 1)[1])
        service = {"metadata": {"name": _SERVICE}, "spec": {"type": "ExternalName", "externalName": host}}
        await cluster.create(f"/api/v1/namespaces/{namespace}/services", service)
        registration = {
            "metadata": {"name": f"v1beta1.{_GROUP}"},
            "spec": {
                "group": _GROUP,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"namespace": namespace, "name": _SERVICE, "port": port},
            },
        }
        path = "/apis/apiregistration.k8s.io/v1/apiservices"
        await cluster.create(path, registration)
        try:

            async def is_served() -> bool:
                try:
                    await cluster.get(base)
                except httpx.HTTPStatusError:
                    return False
                return True

            await eventually(is_served, within_s=60, every_s=0.5)
            yield
        finally:
            await cluster.delete(f"{path}/v1beta1.{_GROUP}")
