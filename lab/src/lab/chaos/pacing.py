"""The pace at which Kubernetes replaces the pods of a service, read from its manifests in `k8s/base`, so that the two
cannot differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lab.stack import StackError

MANIFESTS: Final = Path(__file__).parents[4] / "k8s" / "base"
_GRACE_S: Final = 30.0
"""The default of Kubernetes for `terminationGracePeriodSeconds`."""
_DRAIN_S: Final = 25.0
"""The default of the services for DRAIN_TIMEOUT_S."""
_SHARE: Final = "25%"
"""The default of Kubernetes for `maxSurge` and `maxUnavailable`."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """`max_surge`, `max_unavailable`: a number of pods, or a percentage of the replicas. `grace_s` begins with the
    deletion of the pod and includes `pre_stop_s`.
    """

    max_surge: int | str
    max_unavailable: int | str
    min_ready_s: float
    pre_stop_s: float
    drain_timeout_s: float
    grace_s: float

    def surge(self, replicas: int) -> int:
        return _pods(self.max_surge, replicas, math.ceil)

    def unavailable(self, replicas: int) -> int:
        return _pods(self.max_unavailable, replicas, math.floor)


def pacing_of(service: str, scale: float = 1.0, manifests: Path = MANIFESTS) -> Pacing:
    """Return the pacing of the service with all times multiplied by `scale`. Raises `StackError` without manifests."""
    try:
        deployment = yaml.safe_load((manifests / service / "deployment.yaml").read_text())["spec"]
        settings = _settings(yaml.safe_load((manifests / service / "kustomization.yaml").read_text()))
    except FileNotFoundError as error:
        raise StackError(f"{error.filename} not found: the pace of a roll-out is read from k8s/base") from error
    update = deployment.get("strategy", {}).get("rollingUpdate", {})
    pod = deployment["template"]["spec"]
    stops = [container.get("lifecycle", {}).get("preStop", {}) for container in pod["containers"]]
    return Pacing(
        max_surge=update.get("maxSurge", _SHARE),
        max_unavailable=update.get("maxUnavailable", _SHARE),
        min_ready_s=scale * deployment.get("minReadySeconds", 0),
        pre_stop_s=scale * max(float(stop.get("sleep", {}).get("seconds", 0)) for stop in stops),
        drain_timeout_s=scale * float(settings.get("DRAIN_TIMEOUT_S", _DRAIN_S)),
        grace_s=scale * pod.get("terminationGracePeriodSeconds", _GRACE_S),
    )


def _settings(kustomization: dict[str, Any]) -> dict[str, str]:
    literals = [literal for one in kustomization.get("configMapGenerator", ()) for literal in one.get("literals", ())]
    return dict(literal.split("=", 1) for literal in literals)


def _pods(value: int | str, replicas: int, rounded: Any) -> int:
    if isinstance(value, int):
        return value
    return int(rounded(int(value.removesuffix("%")) * replicas / 100))
