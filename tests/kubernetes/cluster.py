"""A small client of the Kubernetes API, through `kubectl proxy`: every way of authentication in a kubeconfig works."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.support.custom_resources import FOLDER as CRDS

Object = dict[str, Any]

OWN_CRD: Final = "voice-bridge-test"
"""Label of the definitions that the tests install."""
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"


class Cluster:
    """`get`, `create` and so on take paths of the API and raise `httpx.HTTPStatusError`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **params: str) -> Object:
        return await self._answer("GET", path, params=params)

    async def items(self, path: str, **params: str) -> list[Object]:
        found: list[Object] = (await self.get(path, **params))["items"]
        return found

    async def create(self, path: str, body: Object) -> Object:
        return await self._answer("POST", path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    async def patch(self, path: str, body: Object, kind: str = MERGE) -> Object:
        return await self._answer("PATCH", path, content=json.dumps(body), headers={"Content-Type": kind})

    async def delete(self, path: str, **params: str) -> None:
        await self._answer("DELETE", path, params=params)

    async def status_of(self, method: str, path: str, body: Object) -> int:
        answer = await self._client.request(method, path, json=body)
        return answer.status_code

    async def watch(self, path: str, resource_version: str) -> AsyncIterator[Object]:
        """Yield the events of a list until the API server ends the watch."""
        params = {"watch": "true", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        async with self._client.stream("GET", path, params=params, timeout=None) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                yield json.loads(line)

    async def _answer(self, method: str, path: str, **options: Any) -> Object:
        answer = await self._client.request(method, path, **options)
        if answer.is_error:
            raise httpx.HTTPStatusError(f"{method} {path}: {answer.text}", request=answer.request, response=answer)
        found: Object = answer.json()
        return found


@asynccontextmanager
async def connect() -> AsyncIterator[Cluster]:
    """Connect to the cluster of `KUBECONFIG`."""
    proxy = await asyncio.create_subprocess_exec("kubectl", "proxy", "--port=0", stdout=asyncio.subprocess.PIPE)
    assert proxy.stdout is not None
    try:
        line = (await proxy.stdout.readline()).decode()
        address = line.rsplit(" ", 1)[-1].strip()
        assert address, "kubectl proxy did not start"
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False) as client:
            yield Cluster(client)
    finally:
        proxy.terminate()
        await proxy.wait()


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    answer = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {answer.stderr}")
    return answer.stdout


def install_missing_crds() -> list[str]:
    """Install the schemas of kinds that the cluster does not have; return the names of those that it has, except for
    those that an earlier run has installed.
    """
    present = set(kubectl("get", "crd", "-l", f"!{OWN_CRD}", "-o", "name").split())
    wanted = {
        crd["metadata"]["name"]: crd
        for path in sorted(Path(CRDS).glob("*.yaml"))
        for crd in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    }
    vendors = [name for name in wanted if f"customresourcedefinition.apiextensions.k8s.io/{name}" in present]
    missing = [crd for name, crd in wanted.items() if name not in vendors]
    for crd in missing:
        crd["metadata"]["labels"] = {OWN_CRD: ""}
    if missing:
        kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(missing))
        names = [f"crd/{crd['metadata']['name']}" for crd in missing]
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    return vendors
