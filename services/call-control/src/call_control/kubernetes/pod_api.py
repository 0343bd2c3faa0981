"""Client of the Kubernetes API server, for the annotations of pods in the namespace of this pod.

Token and certificate authority are read for each session: kubelet replaces the token about once an hour.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp

from bridge_common.base.errors import GoneError, OutsideError, error_text

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_TIMEOUT_S: Final = 5.0
_MERGE_PATCH: Final = "application/merge-patch+json"
_REMEDIES: Final = {
    401: "the token of the service account is not accepted",
    403: "give the service account of call-control the right to patch pods (k8s/components/deletion-cost)",
}


class ConflictingPatchError(OutsideError):
    """The API server could not apply the patch because of a concurrent change of this pod."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Address of the API server, and the folder with the files of the service account: `token`, `ca.crt`,
    `namespace`.
    """

    host: str
    port: int
    account: Path
    timeout_s: float = _TIMEOUT_S

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @asynccontextmanager
    async def session(self) -> AsyncIterator[PodApi]:
        """Raises `OutsideError` if the files of the service account cannot be read."""
        try:
            token, namespace, tls = await asyncio.to_thread(self._credentials)
        except (OSError, ValueError) as error:
            message = f"the files of the service account in {self.account} cannot be used: {error_text(error)}"
            raise OutsideError(message, retry=True) from error
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
        ) as http:
            yield PodApi(http, f"{self.url}/api/v1/namespaces/{namespace}/pods")

    def _credentials(self) -> tuple[str, str, ssl.SSLContext]:
        token = (self.account / "token").read_text(encoding="ascii").strip()
        if not token or not token.isprintable():
            raise ValueError("the file token is empty or contains control characters")
        namespace = (self.account / "namespace").read_text(encoding="ascii").strip()
        return token, namespace, ssl.create_default_context(cafile=str(self.account / "ca.crt"))


@dataclass(frozen=True, slots=True)
class PodApi:
    http: aiohttp.ClientSession
    pods_url: str

    async def set_deletion_cost(self, pod: str, cost: int) -> None:
        """Raises `GoneError` if there is no such pod, `ConflictingPatchError`, or `OutsideError`."""
        patch = {"metadata": {"annotations": {DELETION_COST: str(cost)}}}
        url, headers = f"{self.pods_url}/{quote(pod, safe='')}", {"Content-Type": _MERGE_PATCH}
        try:
            async with self.http.patch(url, json=patch, headers=headers, allow_redirects=False) as reply:
                status, body = reply.status, (await reply.content.read(1000)).decode(errors="replace")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            message = f"the API server of Kubernetes did not answer: {error_text(error)}"
            raise OutsideError(message, retry=True) from error
        if status == 404:
            raise GoneError(f"there is no pod {pod} in the namespace of call-control")
        if status == 409:
            raise ConflictingPatchError(f"pod {pod} was changed at the same time", retry=True)
        if status != 200:
            why = _REMEDIES.get(status, body[:200].strip())
            raise OutsideError(
                f"the API server of Kubernetes refused to patch pod {pod}, status {status}: {why}", retry=True
            )
